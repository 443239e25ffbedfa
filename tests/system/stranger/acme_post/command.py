"""``vyked-host telegram``."""

import click


@click.command("telegram")
@click.argument("words", nargs=-1, required=True)
def telegram(words: tuple[str, ...]) -> None:
    """Print WORDS as a telegram."""
    click.echo(" ".join(words).upper() + " STOP")
