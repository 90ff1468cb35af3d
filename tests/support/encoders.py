"""Writes small encoders with random weights, as transformers saves them: folders to train from."""

import hashlib
import re

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from service.config.settings import ROOT

SPECIAL = {
    "bert": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
    "mpnet": ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"],
    "distilbert": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
}
_ROLES = {
    "[PAD]": "pad_token",
    "<pad>": "pad_token",
    "[UNK]": "unk_token",
    "[CLS]": "cls_token",
    "<s>": "cls_token",
    "[SEP]": "sep_token",
    "</s>": "sep_token",
    "[MASK]": "mask_token",
    "<mask>": "mask_token",
}


def write_encoder(folder, architecture="bert", *, n_layers=2, hidden=16, seed=0):
    """Write an encoder of `n_layers` layers of `hidden` with weights far from zero; return the folder."""
    import torch  # noqa: PLC0415 - heavy
    from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast  # noqa: PLC0415 - heavy

    tokenizer = word_tokenizer(architecture)
    sizes = {
        "vocab_size": tokenizer.get_vocab_size(),
        "hidden_size": hidden,
        "num_hidden_layers": n_layers,
        "num_attention_heads": 4,
        "intermediate_size": 2 * hidden,
        "max_position_embeddings": 514 if architecture == "mpnet" else 512,
        "initializer_range": 0.3,
    }
    if architecture == "distilbert":
        names = {
            "hidden_size": "dim",
            "num_hidden_layers": "n_layers",
            "intermediate_size": "hidden_dim",
        }
        names |= {"num_attention_heads": "n_heads"}
        sizes = {names.get(key, key): value for key, value in sizes.items()}
    torch.manual_seed(seed)
    model = AutoModel.from_config(AutoConfig.for_model(architecture, **sizes))
    model.save_pretrained(folder)
    roles = {_ROLES[token]: token for token in SPECIAL[architecture]}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **roles).save_pretrained(folder)
    return folder


def word_tokenizer(architecture):
    """Return a tokenizer of whole lower-case words: those of a file of composed sentences."""
    text = (ROOT / "ml/data/authored-a.jsonl").read_text(encoding="utf-8").lower()
    special = SPECIAL[architecture]
    words = [*special, *sorted(set(re.findall(r"\w+|[^\w\s]", text)) - set(special))]
    vocabulary = {word: k for k, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    first, last = (special[0], special[2]) if architecture == "mpnet" else special[2:4]
    around = [(token, vocabulary[token]) for token in (first, last)]
    tokenizer.post_processor = processors.TemplateProcessing(f"{first} $A {last}", None, around)
    tokenizer.add_special_tokens(special)
    return tokenizer


def pins(folder):
    """Return the sha256 of each file of an encoder's folder."""
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}
