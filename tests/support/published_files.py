"""Made-up rows in the files that the paper's data sets are published as."""

from pathlib import Path

from tests.support.json_lines import write_jsonl
from tests.support.sentences import sentence

ROWS = {"train": 24, "dev": 12}


def write_published_files(folder: Path, hellaswag: int = ROWS["train"]) -> Path:
    """Writes CoLA, WiC, RTE, MedNLI, SocialIQA, WinoGrande and HellaSwag below a folder.

    Args:
        folder: a user's data folder.
        hellaswag: training rows of HellaSwag, of which studies take up to 10,000.
    """
    for split, count in ROWS.items():
        of_val = "val" if split == "dev" else split
        seen = range(100 * (split == "dev"), 100 * (split == "dev") + count)
        for size in ("xs", "m", "l") if split == "train" else ("",):
            name = f"train_{size}" if size else "dev"
            write_jsonl(folder / f"winogrande/{name}.jsonl", [_winogrande(i) for i in seen])
        write_jsonl(folder / f"rte/{of_val}.jsonl", [_rte(i) for i in seen])
        write_jsonl(folder / f"wic/{of_val}.jsonl", [_wic(i) for i in seen])
        write_jsonl(folder / f"mednli/mli_{split}_v1.jsonl", [_mednli(i) for i in seen])
        rows = seen if split == "dev" else range(1000, 1000 + hellaswag)
        write_jsonl(folder / f"hellaswag/hellaswag_{of_val}.jsonl", [_hellaswag(i) for i in rows])
        write_jsonl(folder / f"socialiqa/{split}.jsonl", [_socialiqa(i) for i in seen])
        labels = "".join(f"{1 + i % 3}\n" for i in seen)
        (folder / f"socialiqa/{split}-labels.lst").write_text(labels)
        cola = folder / f"cola/{'in_domain_train' if split == 'train' else 'dev'}.tsv"
        cola.parent.mkdir(exist_ok=True)
        cola.write_text("".join(f"own\t{i % 2}\t\t{sentence(i)}\n" for i in seen))
    return folder


def _winogrande(i: int) -> dict:
    options = {"option1": sentence(i, 1), "option2": sentence(i + 1, 1)}
    return {"sentence": f"{sentence(i)} _ {sentence(i, 2)}", "answer": str(1 + i % 2)} | options


def _rte(i: int) -> dict:
    label = "not_entailment" if i % 2 else "entailment"
    return {"premise": sentence(i), "hypothesis": sentence(i + 7), "label": label}


def _wic(i: int) -> dict:
    texts = {"sentence1": sentence(i), "sentence2": sentence(i + 7)}
    return {"word": sentence(i, 1), "label": bool(i % 2)} | texts


def _mednli(i: int) -> dict:
    label = ("entailment", "contradiction", "neutral")[i % 3]
    return {"sentence1": sentence(i), "sentence2": sentence(i + 7), "gold_label": label}


def _hellaswag(i: int) -> dict:
    endings = [sentence(i + k, 4) for k in range(4)]
    return {"ctx_a": sentence(i), "ctx_b": sentence(i, 2), "endings": endings, "label": i % 4}


def _socialiqa(i: int) -> dict:
    answers = {f"answer{letter}": sentence(i + k, 3) for k, letter in enumerate("ABC")}
    return {"context": sentence(i), "question": f"{sentence(i, 3)}?"} | answers
