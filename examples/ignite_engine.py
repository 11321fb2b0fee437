"""Ignite: an engine around a plain PyTorch step, with an evaluator of Ignite's own metrics beside it."""

import torch
from ignite.engine import Events, create_supervised_evaluator, create_supervised_trainer
from ignite.metrics import Accuracy, Loss
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset, random_split

import autolog

autolog.enable(experiment="digits with Ignite")

torch.manual_seed(5)
X, y = load_digits(return_X_y=True)
digits = TensorDataset(torch.tensor(X, dtype=torch.float32) / 16, torch.tensor(y))
train, validation = random_split(digits, [0.8, 0.2])
train_loader = DataLoader(train, batch_size=64, shuffle=True)
val_loader = DataLoader(validation, batch_size=256)

model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
loss_function = torch.nn.CrossEntropyLoss()

trainer = create_supervised_trainer(model, optimizer, loss_function)
evaluator = create_supervised_evaluator(model, {"accuracy": Accuracy(), "loss": Loss(loss_function)})


@trainer.on(Events.EPOCH_COMPLETED)
def evaluate(engine):
    evaluator.run(val_loader)
    # What Ignite's own metrics say is logged to the run that the steps have begun.
    metrics = {f"val_{name}": value for name, value in evaluator.state.metrics.items() if name == "accuracy"}
    autolog.log_metrics(metrics, step=engine.state.epoch - 1)


trainer.run(train_loader, max_epochs=4)
