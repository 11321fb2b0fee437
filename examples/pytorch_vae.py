"""PyTorch: a variational autoencoder of handwritten digits, with a loss function of one's own."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import autolog

autolog.enable(experiment="digits with PyTorch")

torch.manual_seed(0)
pixels = torch.tensor(load_digits().data, dtype=torch.float32) / 16
train_loader = DataLoader(TensorDataset(pixels[:1400]), batch_size=100, shuffle=True)
test_loader = DataLoader(TensorDataset(pixels[1400:]), batch_size=100)


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 32), nn.ReLU())
        self.mu, self.logvar = nn.Linear(32, 4), nn.Linear(32, 4)
        self.decoder = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 64), nn.Sigmoid())

    def forward(self, x):
        hidden = self.encoder(x)
        mu, logvar = self.mu(hidden), self.logvar(hidden)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return self.decoder(z), mu, logvar


def loss_function(recon_x, x, mu, logvar):
    error = F.binary_cross_entropy(recon_x, x, reduction="sum")
    divergence = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return error + divergence


def train():
    model.train()
    for (x,) in train_loader:
        optimizer.zero_grad()
        recon, mu, logvar = model(x)
        loss = loss_function(recon, x, mu, logvar)
        loss.backward()
        losses.append(loss.item())
        optimizer.step()


def test():
    model.eval()
    total = 0.0
    with torch.no_grad():
        for (x,) in test_loader:
            recon, mu, logvar = model(x)
            batch_loss = loss_function(recon, x, mu, logvar).item()
            total += batch_loss * len(x)
    return total / len(test_loader.dataset)


model = VAE()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
losses, test_losses = [], []
for epoch in range(4):
    train()
    test_losses.append(test())
    print(f"epoch {epoch}: test loss of a batch {test_losses[-1]:.1f}")
