"""PyTorch: a perceptron on handwritten digits, in a loop of one's own. Losses, rates, norms and epochs are recorded."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

import autolog

autolog.enable(experiment="digits with PyTorch")

torch.manual_seed(0)
X, y = load_digits(return_X_y=True)
digits = TensorDataset(torch.tensor(X, dtype=torch.float32) / 16, torch.tensor(y))
train_set, val_set, test_set = random_split(digits, [0.7, 0.15, 0.15])
train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
val_loader = DataLoader(val_set, batch_size=128)
test_loader = DataLoader(test_set, batch_size=128)

model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 10))
criterion = nn.CrossEntropyLoss(label_smoothing=0.05)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.01)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)


def evaluate(loader):
    model.eval()
    total = 0.0
    with torch.no_grad():
        for pixels, targets in loader:
            total += criterion(model(pixels), targets).item() * len(targets)
    return total / len(loader.dataset)


losses, norms, rates, train_losses, val_losses = [], [], [], [], []
for epoch in range(5):
    model.train()
    total = 0.0
    for pixels, targets in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(pixels), targets)
        loss.backward()
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0).item())
        optimizer.step()
        losses.append(loss.item())
        total += loss.item() * len(targets)
    rates.append(scheduler.get_last_lr()[0])
    scheduler.step()
    train_losses.append(total / len(train_set))
    val_losses.append(evaluate(val_loader))
    print(f"epoch {epoch}: train {train_losses[-1]:.3f}, validation {val_losses[-1]:.3f}")

test_loss = evaluate(test_loader)
print(f"test {test_loss:.3f}")
