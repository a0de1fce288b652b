"""Models and tokenizers by name. Importing this module imports torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers

from constrain.cli.options import UsageError
from constrain.generation.embedded import FOLDER, load_embedded
from constrain.vocabulary import Vocabulary

_hub: Any = transformers  # typed in part only


def load_model(name: str | None, device: str | None) -> tuple[Any, Any]:
    """A causal language model, ready to generate, and its tokenizer.

    Args:
        name: a local folder or a model of the hub; the embedded model where None.
        device: where the model runs; a GPU, if there is one, where None.

    Raises:
        UsageError: there is no such model or device.
        EmbeddedModelError: the embedded model is not whole.
    """
    _check_folder(name)
    model: Any
    try:
        if name is None:
            _hub.utils.logging.disable_progress_bar()  # it takes no time, and no download
            model, tokenizer = load_embedded()
        else:
            tokenizer = _hub.AutoTokenizer.from_pretrained(name)
            model = _hub.AutoModelForCausalLM.from_pretrained(name).eval()
        return model.to(device or ("cuda" if torch.cuda.is_available() else "cpu")), tokenizer
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(f"the model {name or 'embedded'} cannot be loaded: {error}") from error


def load_vocabulary(name: str | None) -> Vocabulary:
    """The vocabulary that `load_model`'s model and tokenizer have, without the model.

    Raises:
        UsageError: there is no such tokenizer.
        VocabularyError: its tokens have no bytes of their own.
    """
    _check_folder(name)
    place = name or str(FOLDER)
    try:
        tokenizer = _hub.AutoTokenizer.from_pretrained(place)
    except (OSError, ValueError) as error:
        raise UsageError(f"the tokenizer {name} cannot be loaded: {error}") from error
    return Vocabulary.from_tokenizer(tokenizer, _generation_config(place))


def _check_folder(name: str | None) -> None:
    """Refuse a path that leads nowhere before it is taken for a name on the hub."""
    is_path = name is not None and (Path(name).is_absolute() or name.startswith((".", "~")))
    if is_path and not Path(str(name)).is_dir():
        raise UsageError(f"there is no folder {name}")


def _generation_config(place: str) -> Any:
    """What the model in `place` generates by, or None where only a tokenizer lies there."""
    try:
        return _hub.GenerationConfig.from_pretrained(place)
    except OSError:
        pass
    try:
        config = _hub.AutoConfig.from_pretrained(place)
        return _hub.GenerationConfig.from_model_config(config)
    except (OSError, ValueError):
        return None
