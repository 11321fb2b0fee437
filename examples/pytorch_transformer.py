"""PyTorch: a small transformer that learns a licence by characters, from batches that are cut by hand."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

import autolog

autolog.enable(experiment="characters with PyTorch")

torch.manual_seed(0)
text = (Path(__file__).parents[1] / "LICENSE").read_text()
alphabet = sorted(set(text))
data = torch.tensor([alphabet.index(character) for character in text])
train_data, val_data = data[:-1500], data[-1500:]
context, width = 16, 32


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(width, num_heads=2, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.register_buffer("mask", torch.triu(torch.ones(context, context, dtype=torch.bool), 1))

    def forward(self, x):
        y = self.norm1(x)
        x = x + self.attention(y, y, y, attn_mask=self.mask, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


class CharacterTransformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(len(alphabet), width)
        self.positions = nn.Embedding(context, width)
        self.blocks = nn.Sequential(Block(), Block())
        self.head = nn.Linear(width, len(alphabet))

    def forward(self, idx, targets=None):
        x = self.tokens(idx) + self.positions(torch.arange(context))
        logits = self.head(self.blocks(x))
        loss = None if targets is None else F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        return logits, loss


def get_batch(split):
    source = train_data if split == "train" else val_data
    starts = torch.randint(len(source) - context, (16,))
    x = torch.stack([source[start : start + context] for start in starts])
    y = torch.stack([source[start + 1 : start + context + 1] for start in starts])
    return x, y


@torch.no_grad()
def estimate_loss():
    means = {}
    model.eval()
    for split in ("train", "val"):
        values = torch.zeros(4)
        for number in range(len(values)):
            _, value = model(*get_batch(split))
            values[number] = value.item()
        means[split] = values.mean().item()
    model.train()
    return means


model = CharacterTransformer()
decayed = [parameter for parameter in model.parameters() if parameter.dim() > 1]
others = [parameter for parameter in model.parameters() if parameter.dim() <= 1]
optimizer = torch.optim.AdamW(
    [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}], lr=3e-3
)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=60)

losses, estimates = [], []
for step in range(60):
    xb, yb = get_batch("train")
    logits, loss = model(xb, yb)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    scheduler.step()
    losses.append(loss.item())
    if step % 20 == 19:
        estimates.append(estimate_loss())
        print(f"step {step}: train {estimates[-1]['train']:.3f}, validation {estimates[-1]['val']:.3f}")
