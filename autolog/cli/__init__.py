"""The command line: ``autolog COMMAND``, or ``python -m autolog COMMAND``."""

from __future__ import annotations


def main() -> None:
    """Run the command line and end the process with its exit code."""
    import typer

    from autolog.cli.application import application

    # Calling the Typer object itself would replace sys.excepthook, which belongs to the script that `exec` runs.
    typer.main.get_command(application)(prog_name="autolog")
