"""transformers: a tiny GPT-2, built from a configuration, learns the letters of this file, without any download."""

from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

import autolog

autolog.enable(experiment="letters with transformers")

LENGTH = 32
text = Path(__file__).read_text() * 3
letters = sorted(set(text))
numbers = torch.tensor([letters.index(letter) for letter in text])


class Letters(torch.utils.data.Dataset):
    def __init__(self, numbers):
        self.rows = numbers[: len(numbers) // LENGTH * LENGTH].reshape(-1, LENGTH)

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, place):
        return {"input_ids": self.rows[place], "labels": self.rows[place]}


torch.manual_seed(3)
model = GPT2LMHeadModel(
    GPT2Config(vocab_size=len(letters), n_positions=LENGTH, n_embd=32, n_layer=2, n_head=2, use_cache=False)
)
held_out = len(numbers) // 5
trainer = Trainer(
    model=model,
    args=TrainingArguments(
        "checkpoints",
        num_train_epochs=3,
        per_device_train_batch_size=16,
        learning_rate=0.003,
        logging_steps=5,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=True,
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        seed=3,
    ),
    train_dataset=Letters(numbers[:-held_out]),
    eval_dataset=Letters(numbers[-held_out:]),
)
trainer.train()
trainer.evaluate(metric_key_prefix="best")
