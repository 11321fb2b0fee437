"""The trainings of neural networks that are measured. A framework is imported by what trains with it alone."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import numpy as np

# Before anybody imports Keras, which is MLflow where that is measured.
os.environ["KERAS_BACKEND"] = "torch"

Data = tuple[Any, Any]
_CLASSES: Final = 10
# Of 32 rows: with the loader's part a step takes about 200 µs.
_BATCH: Final = 32
_WIDTH: Final = 64


def rows(count: int, width: int) -> Data:
    """Return rows of numbers, and a class of each, always the same ones."""
    numbers = np.random.default_rng(0)
    return numbers.random((count, width), dtype=np.float32), numbers.integers(_CLASSES, size=count)


def many_batches() -> Data:
    return rows(500 * _BATCH, _WIDTH)


def some_batches() -> Data:
    return rows(100 * _BATCH, _WIDTH)


def rows_like_mnist() -> Data:
    return rows(60_000, 28 * 28)


def train_by_torch(data: Data, epochs: int, *, is_clipped: bool = False) -> Callable[[], object]:
    import torch
    from torch import nn

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(_WIDTH, _WIDTH), nn.ReLU(), nn.Linear(_WIDTH, _CLASSES))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    criterion = nn.CrossEntropyLoss()
    loader = _load(data)

    def train() -> None:
        for _ in range(epochs):
            for features, targets in loader:
                optimizer.zero_grad()
                loss = criterion(model(features), targets)
                loss.backward()
                if is_clipped:
                    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()

    return train


def train_and_clip_by_torch(data: Data, epochs: int) -> Callable[[], object]:
    return train_by_torch(data, epochs, is_clipped=True)


def train_by_lightning(data: Data, epochs: int) -> Callable[[], object]:
    import lightning
    import torch
    from torch import nn

    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    class Classifier(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(_WIDTH, _WIDTH), nn.ReLU(), nn.Linear(_WIDTH, _CLASSES))

        def training_step(self, batch: Any, _: int) -> Any:
            features, targets = batch
            loss = nn.functional.cross_entropy(self.layers(features), targets)
            self.log("train_loss", loss, on_step=True, on_epoch=True)
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.01)

    torch.manual_seed(0)
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    return partial(trainer.fit, Classifier(), _load(data))


def train_by_keras(data: Data, epochs: int) -> Callable[[], object]:
    import keras

    features, targets = data
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input(features.shape[1:]),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(_CLASSES, activation="softmax"),
        ]
    )
    model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return lambda: model.fit(features, targets, batch_size=128, epochs=epochs, verbose=0)


def _load(data: Data) -> Any:
    """Return a loader of batches that are taken out of the data at once, and not row by row."""
    import torch

    features, targets = (torch.from_numpy(part) for part in data)

    class Rows(torch.utils.data.Dataset[Any]):
        def __len__(self) -> int:
            return len(features)

        def __getitems__(self, places: list[int]) -> Any:
            chosen = torch.tensor(places)
            return features[chosen], targets[chosen]

    return torch.utils.data.DataLoader(Rows(), batch_size=_BATCH, shuffle=True, collate_fn=_keep)


def _keep(batch: Any) -> Any:
    return batch
