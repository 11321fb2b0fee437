"""PyTorch: Q-learning with a replay memory and a target network, on a corridor that is to be walked to its end."""

import random
from collections import deque

import torch
from torch import nn

import autolog

autolog.enable(experiment="corridor with PyTorch")

random.seed(0)
torch.manual_seed(0)
LENGTH, GAMMA, TAU = 6, 0.9, 0.05


class Corridor:
    def reset(self):
        self.place, self.time = 0, 0
        return self.observe()

    def observe(self):
        return torch.nn.functional.one_hot(torch.tensor(self.place), LENGTH).float()

    def step(self, action):
        self.place = max(self.place + (1 if action else -1), 0)
        self.time += 1
        is_at_end = self.place == LENGTH - 1
        return self.observe(), 1.0 if is_at_end else -0.05, is_at_end or self.time == 30


class DQN(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(LENGTH, 24), nn.ReLU(), nn.Linear(24, 2))

    def forward(self, x):
        return self.layers(x)


env, memory = Corridor(), deque(maxlen=500)
policy_net, target_net = DQN(), DQN()
target_net.load_state_dict(policy_net.state_dict())
optimizer = torch.optim.AdamW(policy_net.parameters(), lr=5e-3, amsgrad=True)
criterion = nn.SmoothL1Loss()
losses, returns = [], []


def select_action(state, epsilon):
    if random.random() < epsilon:
        return random.randrange(2)
    with torch.no_grad():
        return policy_net(state).argmax().item()


def optimize_model():
    if len(memory) < 32:
        return
    states, actions, rewards, next_states, are_over = zip(*random.sample(memory, 32), strict=True)
    values = policy_net(torch.stack(states)).gather(1, torch.tensor(actions).unsqueeze(1)).squeeze(1)
    with torch.no_grad():
        next_values = target_net(torch.stack(next_states)).max(1).values
    expected = torch.tensor(rewards) + GAMMA * next_values * ~torch.tensor(are_over)
    loss = criterion(values, expected)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_value_(policy_net.parameters(), 100)
    optimizer.step()
    losses.append(loss.item())


for episode in range(30):
    state, total, is_over = env.reset(), 0.0, False
    while not is_over:
        action = select_action(state, epsilon=0.9 * 0.9**episode)
        next_state, reward, is_over = env.step(action)
        memory.append((state, action, reward, next_state, is_over))
        state = next_state
        total += reward
        optimize_model()
        for target, policy in zip(target_net.parameters(), policy_net.parameters(), strict=True):
            target.data.lerp_(policy.data, TAU)
    returns.append(total)
    if losses:
        autolog.log_metric("return", total, step=episode)
print(f"{len(losses)} steps; the last return is {returns[-1]:.2f}")
