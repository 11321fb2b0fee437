"""A training's steps of about 200 µs while it logs at some rate: how long they take, and what else it costs.

The steps do a fixed amount of work. A loop that looks at the clock until 200 µs are over would hide what it lost.
"""

import time

from resources import family_memory, own_memory, tool_cpu
from subject import percentile, read_arguments, report

STEP = 200e-6

arguments = read_arguments()
if arguments["loop"] == "torch":
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1)
    hidden = (layer for _ in range(3) for layer in (torch.nn.Linear(64, 64), torch.nn.ReLU()))
    model = torch.nn.Sequential(*hidden, torch.nn.Linear(64, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    features, targets = torch.randn(64, 64), torch.randn(64, 1)

    def work() -> None:
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(model(features), targets).backward()
        optimizer.step()

else:

    def work() -> None:
        total = 0
        for number in range(12_000):
            total += number


for _ in range(200):
    work()
own, family = own_memory(), family_memory()
log = None
if arguments["store"]:
    from autolog_store import store_url

    import autolog

    autolog.enable(store_url(arguments), integrations=[])
    autolog.start_run()
    autolog.log_metric("loss", 0.0, 0)
    autolog.flush()
    log = autolog.log_metric
clock = time.perf_counter_ns
times = []
due = 0.0
cpu = tool_cpu()
for step in range(arguments["steps"]):
    started = clock()
    work()
    due += arguments["rate"] * STEP
    while due >= 1:
        due -= 1
        if log is not None:
            log("loss", 0.5, step)
    times.append(clock() - started)
memory, memory_of_all = own_memory() - own, family_memory() - family
if log is not None:
    import autolog

    autolog.flush()
cpu = tool_cpu() - cpu
# The run ends as a script's does that says nothing more: at the process' exit.
report(
    {
        "median": [percentile(times, 0.5)],
        "p999": [percentile(times, 0.999)],
        "cpu": [cpu / arguments["steps"]],
        "memory": [max(0, memory)],
        "memory_of_all": [max(0, memory_of_all)],
    }
)
