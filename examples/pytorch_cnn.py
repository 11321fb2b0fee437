"""PyTorch: a convolutional network on handwritten digits: mixed precision, accumulated gradients, checkpoints."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Dataset

import autolog

autolog.enable(experiment="digits with PyTorch")
torch.manual_seed(0)


class Digits(Dataset):
    def __init__(self, rows):
        X, y = load_digits(return_X_y=True)
        self.images = torch.tensor(X[rows], dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
        self.targets = torch.tensor(y[rows])

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, index):
        return self.images[index], self.targets[index]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.fc = nn.Linear(16 * 4 * 4, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc(x.flatten(1))


@torch.inference_mode()
def validate(model, loader):
    model.eval()
    total, correct = 0.0, 0
    for images, targets in loader:
        output = model(images)
        total += F.cross_entropy(output, targets, reduction="sum").item()
        correct += (output.argmax(1) == targets).sum().item()
    model.train()
    return total / len(loader.dataset), correct / len(loader.dataset)


train_loader = DataLoader(Digits(slice(0, 1200)), batch_size=40, shuffle=True)
valid_loader = DataLoader(Digits(slice(1200, None)), batch_size=200)
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, nesterov=True)
epochs, accumulate = 3, 2
scheduler = torch.optim.lr_scheduler.OneCycleLR(
    optimizer, max_lr=0.2, epochs=epochs, steps_per_epoch=len(train_loader) // accumulate
)
scaler = torch.amp.GradScaler("cpu")

losses, rates, val_losses, accuracies, saved = [], [], [], [], []
for epoch in range(epochs):
    batch_losses = []
    for number, (images, targets) in enumerate(train_loader, start=1):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = F.cross_entropy(model(images), targets) / accumulate
        scaler.scale(loss).backward()
        batch_losses.append(loss.item())
        if number % accumulate == 0:
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
            losses.append(sum(batch_losses[-accumulate:]))
            rates.append(scheduler.get_last_lr()[0])
            scheduler.step()
    val_loss, accuracy = validate(model, valid_loader)
    if not val_losses or val_loss < min(val_losses):
        torch.save(model.state_dict(), "best.pt")
        saved.append(epoch)
    val_losses.append(val_loss)
    accuracies.append(accuracy)
    autolog.log_metric("val_accuracy", accuracy, step=epoch)
    print(f"epoch {epoch}: validation {val_loss:.3f}, accuracy {accuracy:.3f}")
