"""The transformers integration keeps every promise of the suite."""

import pytest

from autolog.testing.integration_suite import IntegrationSuite

pytest.importorskip("transformers")
pytest.importorskip("accelerate")

IMPORTS = """
import torch, transformers
from transformers import Trainer, TrainingArguments
transformers.logging.set_verbosity_error()
class Rows(torch.utils.data.Dataset):
    def __len__(self):
        return 8
    def __getitem__(self, place):
        row = torch.arange(4) + place % 2
        return {"input_ids": row, "labels": row if place < 8 else None}
class Failing(transformers.TrainerCallback):
    def on_step_end(self, *_, **__):
        raise ValueError("no more")
def learn(callbacks=None):
    torch.manual_seed(1)
    sizes = dict(vocab_size=8, n_positions=4, n_embd=4, n_layer=1, n_head=1)
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes))
    settings = dict(max_steps=2, report_to="none", use_cpu=True, disable_tqdm=True, save_strategy="no")
    arguments = transformers.TrainingArguments("out", logging_strategy="no", **settings)
    trainer = transformers.Trainer(model=model, args=arguments, train_dataset=Rows(), callbacks=callbacks)
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train()
"""


class TestTransformers(IntegrationSuite):
    integration = "transformers"
    imports = IMPORTS
    training = "learn()"
    failing = "learn([Failing()])"
    patched = ("transformers.Trainer.train", "transformers.Trainer.evaluate", "transformers.Trainer.predict")
