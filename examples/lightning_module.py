"""Lightning: a module on handwritten digits that stops early, keeps its best checkpoint, and is tested, in one run."""

import lightning
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset, random_split

import autolog

autolog.enable(experiment="digits with Lightning")


class Digits(lightning.LightningModule):
    def __init__(self, width=32, lr=0.01):
        super().__init__()
        self.save_hyperparameters()
        self.lr = lr
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(64, width), torch.nn.ReLU(), torch.nn.Dropout(0.2), torch.nn.Linear(width, 10)
        )

    def training_step(self, batch):
        loss, _ = self.judge(batch)
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch):
        loss, accuracy = self.judge(batch)
        self.log_dict({"val_loss": loss, "val_accuracy": accuracy})

    def test_step(self, batch):
        loss, accuracy = self.judge(batch)
        self.log_dict({"test_loss": loss, "test_accuracy": accuracy})

    def judge(self, batch):
        pixels, digits = batch
        guesses = self.layers(pixels)
        accuracy = (guesses.argmax(dim=1) == digits).float().mean()
        return torch.nn.functional.cross_entropy(guesses, digits), accuracy

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=self.lr)


lightning.seed_everything(7)
X, y = load_digits(return_X_y=True)
digits = TensorDataset(torch.tensor(X, dtype=torch.float32) / 16, torch.tensor(y))
train, validation, test = random_split(digits, [0.7, 0.15, 0.15])

trainer = lightning.Trainer(
    max_epochs=30,
    accelerator="cpu",
    logger=False,
    enable_progress_bar=False,
    enable_model_summary=False,
    callbacks=[EarlyStopping("val_loss", patience=3), ModelCheckpoint("checkpoints", monitor="val_loss")],
)
model = Digits()
trainer.fit(model, DataLoader(train, batch_size=64, shuffle=True), DataLoader(validation, batch_size=256))
trainer.test(model, DataLoader(test, batch_size=256), ckpt_path="best", weights_only=True)
