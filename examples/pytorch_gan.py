"""PyTorch: two networks against each other on handwritten digits, with an optimizer each, in one run."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import autolog

autolog.enable(experiment="digits with PyTorch")

torch.manual_seed(0)
images = torch.tensor(load_digits().data, dtype=torch.float32).reshape(-1, 1, 8, 8) / 8 - 1
dataloader = DataLoader(TensorDataset(images[:640]), batch_size=64, shuffle=True)
nz, ngf, ndf = 8, 16, 16

netG = nn.Sequential(
    nn.ConvTranspose2d(nz, ngf, 4, bias=False),
    nn.BatchNorm2d(ngf),
    nn.ReLU(),
    nn.ConvTranspose2d(ngf, 1, 4, stride=2, padding=1, bias=False),
    nn.Tanh(),
)
netD = nn.Sequential(
    nn.Conv2d(1, ndf, 4, stride=2, padding=1, bias=False),
    nn.LeakyReLU(0.2),
    nn.Conv2d(ndf, 1, 4, bias=False),
    nn.Sigmoid(),
    nn.Flatten(0),
)
criterion = nn.BCELoss()
optimizerD = torch.optim.Adam(netD.parameters(), lr=0.002, betas=(0.5, 0.999))
optimizerG = torch.optim.Adam(netG.parameters(), lr=0.001, betas=(0.5, 0.999))

history = {"errD_real": [], "errD_fake": [], "errG": []}
for epoch in range(3):
    for (real,) in dataloader:
        ones, zeros = torch.ones(len(real)), torch.zeros(len(real))

        # The discriminator learns to tell real digits from false ones.
        netD.zero_grad()
        errD_real = criterion(netD(real), ones)
        errD_real.backward()
        fake = netG(torch.randn(len(real), nz, 1, 1))
        errD_fake = criterion(netD(fake.detach()), zeros)
        errD_fake.backward()
        optimizerD.step()

        # The generator learns to deceive it.
        netG.zero_grad()
        errG = criterion(netD(fake), ones)
        errG.backward()
        optimizerG.step()

        history["errD_real"].append(errD_real.item())
        history["errD_fake"].append(errD_fake.item())
        history["errG"].append(errG.item())
    print(f"epoch {epoch}: discriminator {errD_real + errD_fake:.3f}, generator {errG:.3f}")
