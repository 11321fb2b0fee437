"""A training in two processes with DistributedDataParallel: one run, recorded by rank 0."""

import tempfile

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

import autolog


def train(rank: int, processes: int, meeting: str) -> None:
    """Train as one process of several."""
    autolog.enable(experiment="two processes")
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{meeting}/ranks", rank=rank, world_size=processes)
    torch.manual_seed(0)
    features = torch.randn(512, 8)
    dataset = TensorDataset(features, features.sum(dim=1, keepdim=True))
    sampler = DistributedSampler(dataset, shuffle=True)
    loader = DataLoader(dataset, batch_size=32, sampler=sampler)
    network = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1))
    model = DistributedDataParallel(network)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for epoch in range(5):
        sampler.set_epoch(epoch)
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(model(inputs), targets)
            loss.backward()
            optimizer.step()
    dist.destroy_process_group()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(train, (2, folder), nprocs=2)
