"""What intervals and p-values are worth, by simulation: the table in docs/coverage.md.

    python -m benchmarks.coverage [--tables N] [--seed SEED] [--write docs/coverage.md]

Draws N tables of every setting from models whose truth is known (``tests.support.simulated_runs``),
and counts how often an interval of 95 % holds the truth, and how often a p of at most .05 (or an
interim bound, over all looks together) tells apart what is the same. The standard error of a share of 95 % is {error:.1f} % here. The table is made by
`python -m benchmarks.coverage --write docs/coverage.md`; shorter versions of its lines are tests.

| what | setting | stated | measured |
|---|---|--:|--:|
"""


def main() -> None:
    """Measures every claim, prints it, and writes the table where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tables", type=int, default=1000, help="of every setting")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path, help="Markdown file")
    asked = parser.parse_args()
    console, lines = Console(), []
    for claim in claims():
        found = share(claim.once, asked.tables, asked.seed)
        lines.append(f"| {claim.what} | {claim.setting} | {claim.stated} | {100 * found:.1f} % |")
        console.print(lines[-1], soft_wrap=True, highlight=False)
    if asked.write:
        text = (
            HEAD.format(tables=asked.tables, error=100 * (0.95 * 0.05 / asked.tables) ** 0.5)
            + "\n".join(lines)
            + "\n"
        )
        asked.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
