"""The Lightning integration keeps every promise of the suite."""

import pytest

from autolog.testing.integration_suite import IntegrationSuite

pytest.importorskip("pytorch_lightning")

# The path of checkpoints is another in every program: none are saved.
IMPORTS = """
import logging, warnings
import torch
import pytorch_lightning as pl
warnings.simplefilter("ignore")
logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
class Line(pl.LightningModule):
    def __init__(self, fails=False):
        super().__init__()
        torch.manual_seed(1)
        self.layer = torch.nn.Linear(3, 1)
        self.fails = fails
    def training_step(self, batch, place):
        if self.fails and place == 1:
            raise ValueError("no more")
        loss = self.layer(batch[0]).square().mean()
        self.log("loss", loss, on_step=True, on_epoch=True)
        return loss
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)
def fit(fails=False):
    data = torch.utils.data.TensorDataset(torch.ones(8, 3))
    quiet = dict(enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False, logger=False)
    trainer = pl.Trainer(max_epochs=2, accelerator="cpu", **quiet)
    trainer.fit(Line(fails), torch.utils.data.DataLoader(data, batch_size=4))
"""


class TestLightning(IntegrationSuite):
    integration = "lightning"
    imports = IMPORTS
    training = "fit()"
    failing = "fit(fails=True)"
    patched = ("pl.Trainer.fit", "pl.Trainer.test", "pl.Trainer.validate", "pl.Trainer.predict")
