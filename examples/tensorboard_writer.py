"""TensorBoard: a program that writes curves, pictures and settings, all of which are in the run as well."""

import numpy as np
from tensorboardX import SummaryWriter

import autolog

autolog.enable(experiment="a walk")

generator = np.random.default_rng(0)
with autolog.start_run(run_name="random walk"), SummaryWriter("events") as writer:
    place = np.zeros(2)
    for step in range(200):
        place += generator.normal(size=2)
        writer.add_scalar("distance", np.hypot(*place), step)
        writer.add_scalars("place", {"x": place[0], "y": place[1]}, step)
    writer.add_image("noise", generator.random((3, 16, 16)), 200)
    writer.add_histogram("steps", generator.normal(size=1000), 200)
    writer.add_text("notes", "a walk in the *plane*", 200)
    writer.add_hparams({"dimensions": 2, "seed": 0}, {"final_distance": np.hypot(*place)})
