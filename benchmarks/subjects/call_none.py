"""The least that any logger has to do: keep what it is given in a list."""

from subject import percentile, read_arguments, report, time_batches, time_calls

arguments = read_arguments()
points: list[tuple[str, float, int]] = []


def log_metric(key: str, value: float, step: int) -> None:
    points.append((key, value, step))


def log(step: int) -> None:
    log_metric("loss", 0.5, step)


report(
    {
        "log_metric": time_batches(log, arguments["batches"], arguments["batch"]),
        "log_metric_p999": [percentile(time_calls(log, arguments["calls"]), 0.999)],
    }
)
