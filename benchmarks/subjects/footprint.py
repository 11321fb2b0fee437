"""The memory that a tool adds to a process that has NumPy, when it starts and after many points."""

import time

import numpy as np
from resources import family_memory, own_memory
from subject import read_arguments, report

np.zeros(8).sum()
arguments = read_arguments()
own, family = own_memory(), family_memory()

from tools import load_tool  # noqa: E402

tool = load_tool(arguments["tool"])
few, many = arguments["few"], arguments["many"]


def settle() -> None:
    if tool.flush is not None:
        tool.flush()
    else:
        time.sleep(2)


tool.begin(arguments)
for step in range(few):
    tool.log_metric("loss", 0.5, step)
highest = own_memory()
settle()
first = own_memory()
samples = {"added": [first - own], "added_by_all": [family_memory() - family]}
# Ten looks on the way: a level that rises with the points would show at the end, one that swings on the way.
for number in range(10):
    for step in range(few + number * many // 10, few + (number + 1) * many // 10):
        tool.log_metric("loss", 0.5, step)
    highest = max(highest, own_memory())
settle()
samples["growth"] = [max(0, own_memory() - first)]
samples["highest"] = [max(highest, own_memory()) - own]
tool.finish()
report(samples, {"points": few + many})
