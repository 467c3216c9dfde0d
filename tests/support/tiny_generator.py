"""A causal language model small enough for tests: GPT-2's architecture, random weights."""

import json
from pathlib import Path

import numpy as np
import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import GPT2Config, GPT2LMHeadModel, GPT2Tokenizer

END = "<|endoftext|>"
WORDS = (
    "the city of stone was built by people who came from far away and stayed for many years "
    "because rivers there are wide, fields are green and the old harbour never freezes in winter"
).split()


def prose(sentences: int, words: int = 24, start: int = 0) -> str:
    """Made-up sentences, no two alike, that ``". "`` separates."""
    made = []
    for number in range(start, start + sentences):
        picked = [WORDS[(number * 7 + i * (1 + number % 5)) % len(WORDS)] for i in range(words - 1)]
        made.append(" ".join([f"S{number}", *picked]))
    return ". ".join(made) + "."


def save_tiny_gpt2(folder: Path, *, positions: int = 96) -> Path:
    """Saves a model whose next-token distributions are neither flat nor certain."""
    folder.mkdir(parents=True, exist_ok=True)
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(
        [prose(200)], vocab_size=700, special_tokens=[END], show_progress=False
    )
    trained.save_model(str(folder))
    vocabulary = json.loads((folder / "vocab.json").read_text())
    lines = (folder / "merges.txt").read_text().splitlines()
    merges = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]
    GPT2Tokenizer(vocab=vocabulary, merges=merges).save_pretrained(folder)
    config = GPT2Config(
        vocab_size=len(vocabulary),
        n_positions=positions,
        n_embd=16,
        n_layer=2,
        n_head=2,
        bos_token_id=vocabulary[END],
        eos_token_id=vocabulary[END],
        initializer_range=0.6,
    )
    torch.manual_seed(0)
    model = GPT2LMHeadModel(config)
    with torch.no_grad():
        # so that a text ends now and then
        model.transformer.wte.weight[vocabulary[END]] *= 2.0
    model.save_pretrained(folder)
    return folder


def save_tiny_gguf(source: Path, file: Path) -> None:
    """Writes a model of ``save_tiny_gpt2`` (with 1024 positions) as a GGUF file, unquantised."""
    import gguf

    model = GPT2LMHeadModel.from_pretrained(source)
    config = model.config
    table = json.loads((source / "tokenizer.json").read_text())["model"]
    tokens = sorted(table["vocab"], key=table["vocab"].__getitem__)
    file.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(file, "gpt2")
    writer.add_block_count(config.n_layer)
    writer.add_context_length(config.n_positions)
    writer.add_embedding_length(config.n_embd)
    writer.add_feed_forward_length(4 * config.n_embd)
    writer.add_head_count(config.n_head)
    writer.add_layer_norm_eps(config.layer_norm_epsilon)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.NORMAL] * len(tokens))
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in table["merges"]])
    writer.add_bos_token_id(config.bos_token_id)
    writer.add_eos_token_id(config.eos_token_id)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.GPT2, config.n_layer)
    for name, weight in model.state_dict().items():
        if name == "lm_head.weight":
            continue
        # GGUF keeps a linear layer as (out, in), GPT-2's own code as (in, out)
        linear = name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight"))
        values = (weight.T if linear else weight).contiguous().numpy().astype(np.float32)
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight", ".bias")), values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
