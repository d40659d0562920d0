"""The fitted state of an estimator: NumPy arrays from which a net is rebuilt."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import is_dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from sparsectr.nn.mean import build_net, stored_members
from sparsectr.parameters import describe
from sparsectr.stored_state import StoredStateMixin, check_array, damaged

# Without these nothing fitted can predict, or go on.
FITTED = ("device_", "encoder_", "n_features_in_", "_net_arguments", "_net_made_with")
# A net may have parts so much longer than its longest stored array, such as gates that are off.
SMALL_SHAPE = 1024


class NetStorageMixin(StoredStateMixin):
    """Keep a trained net as NumPy arrays and rebuild it where it is needed.

    Stored are ``_net_arguments`` (what its constructor takes), ``_net_state`` (its weights as
    arrays) and ``_net_made_with`` (the parameters that asked for it). The module itself (``_net``)
    never goes into a file, so that a model trained on a GPU opens on a machine without one.
    """

    _net_class: ClassVar[type[nn.Module]]
    # Constructor parameters that make the net what it is: training that goes on cannot change them.
    _net_parameters: ClassVar[tuple[str, ...]]
    # Fitted attributes whose names do not end in an underscore.
    _private_state: ClassVar[tuple[str, ...]] = (
        "_net",
        "_net_arguments",
        "_net_state",
        "_net_made_with",
        "_shift",
    )
    _net_arguments: dict[str, Any]
    _net_state: dict[str, np.ndarray[Any, Any]]
    _net_made_with: dict[str, Any]
    # Fitted attributes that the target is made of.
    _target_state: ClassVar[tuple[str, ...]] = ()
    device_: str

    def _store_net(self, net: nn.Module) -> None:
        """Make this net the fitted one. On a CPU arrays and module share their memory."""
        vars(self).update(self._net_snapshot(net))
        self._net = net.eval()

    def _net_snapshot(self, net: nn.Module) -> dict[str, Any]:
        """Return the stored attributes that this net would give."""
        state = {name: value.detach().cpu().numpy() for name, value in net.state_dict().items()}
        return {
            "_net_arguments": net.arguments,
            "_net_state": state,
            "_net_made_with": self._values_of_net_parameters(),
        }

    def _values_of_net_parameters(self) -> dict[str, Any]:
        """Return copies of the values, lists as tuples: [64, 32] and (64, 32) are one net."""
        values = {name: deepcopy(getattr(self, name)) for name in self._net_parameters}
        return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}

    def _fitted_net(self) -> nn.Module:
        """Return the fitted net, rebuilt if this estimator comes from a file."""
        if not hasattr(self, "_net"):
            self._net = self._build_net(copy=False).eval()
        return self._net

    @torch.inference_mode(False)  # or its weights could never be trained, nor leave that mode
    def _build_net(self, *, copy: bool) -> nn.Module:
        """Build a net from the stored arrays, in memory of its own or in theirs."""
        net = build_net(self._net_class, self._net_arguments)
        state = {
            # An array that a memory map has made read-only cannot be shared.
            name: torch.from_numpy(np.array(value) if copy or not value.flags.writeable else value)
            for name, value in self._net_state.items()
        }
        net.load_state_dict(state, assign=True)
        return net.to(usable_device(self.device_))

    def _check_same_net(self) -> None:
        """Check that the parameters still ask for the net that is fitted."""
        for name, now in self._values_of_net_parameters().items():
            then = self._net_made_with[name]
            if now != then:
                raise ValueError(
                    f"{name} must stay {then!r} while training goes on with the fitted net, "
                    f"got {now!r}. For a new net, set warm_start=False and call fit, or clone "
                    "the estimator."
                )

    def _snapshot(self, net: nn.Module) -> dict[str, Any]:
        """Return the fitted attributes with which a copy of this estimator can predict."""
        names = ("encoder_", "device_", "n_features_in_", "feature_names_in_", *self._target_state)
        known = {name: value for name, value in vars(self).items() if name in names}
        # The logits of a net in training are not shifted. A copy: a callback may keep it.
        return known | {"_shift": 0.0} | deepcopy(self._net_snapshot(net))

    def _forget(self) -> None:
        """Remove the fitted state."""
        for name in list(vars(self)):
            public = name.endswith("_") and not name.startswith("_")
            if public or name in self._private_state:
                delattr(self, name)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_net_state")

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        state.pop("_net", None)
        state.pop("epoch_seconds_", None)  # equal fits give equal files
        return state

    def _check_state(self, state: dict[str, Any]) -> None:
        if "_net_state" not in state:
            return
        if lacking := [name for name in FITTED if name not in state]:
            raise damaged(type(self).__name__, f"it lacks {lacking}")
        if not state["encoder_"].__sklearn_is_fitted__():
            raise damaged(type(self).__name__, "its encoder is not fitted")
        name, sizes = type(self).__name__, state["encoder_"].vocabulary_sizes_.tolist()
        for arguments, weights in stored_members(state["_net_arguments"], state["_net_state"]):
            check_net_state(name, self._net_class, arguments, weights)
            if sizes != list(arguments["vocabulary_sizes"]):
                raise damaged(name, "its net has other vocabulary sizes than its encoder")
            if "classes_" in state:
                n_classes = 2 if arguments["n_outputs"] == 1 else arguments["n_outputs"]
                check_array("classes_", state["classes_"], "biufOUMm", (n_classes,))


def check_net_state(
    name: str,
    net_class: type[nn.Module],
    arguments: dict[str, Any],
    weights: dict[str, np.ndarray[Any, Any]],
) -> None:
    """Check that stored weights are those of the net that the stored arguments build.

    Parameters
    ----------
    name : str
        Class of the estimator, for errors.
    net_class : type
        Class of the net.
    arguments : dict
        What its constructor takes.
    weights : dict of str to ndarray
        Its weights.

    Raises
    ------
    ValueError
        If names, shapes or types differ, or a weight is not finite.
    """
    for key, array in weights.items():
        check_array(key, array, "f", getattr(array, "shape", ()))
    # Nothing is built that is larger than what is stored: no number of the arguments is.
    lengths = [length for array in weights.values() for length in array.shape]
    sizes = arguments["vocabulary_sizes"]
    most = max([len(weights), *lengths]) + SMALL_SHAPE
    if sum(sizes) > max(lengths) or any(not 0 <= n <= most for n in _integers(arguments)):
        raise damaged(name, "its net would be larger than the stored weights")
    built = net_class(**arguments).state_dict()
    if built.keys() != weights.keys():
        raise damaged(name, f"expected the weights {list(built)}, got {list(weights)}")
    for key, tensor in built.items():
        stored = weights[key]
        if stored.shape != tuple(tensor.shape) or stored.dtype != tensor.numpy().dtype:
            raise damaged(
                name,
                f"{key} must be {tensor.numpy().dtype} of shape {tuple(tensor.shape)}, got "
                f"{stored.dtype} of shape {stored.shape}",
            )


def _integers(value: Any) -> Iterator[int]:
    """Yield the integers in nested tuples, dicts and dataclasses."""
    if is_dataclass(value) and not isinstance(value, type):
        value = vars(value)
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, list | tuple):
        for part in value:
            yield from _integers(part)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield value


def find_device(device: str) -> torch.device:
    """Return the device to train on: a GPU if "auto" finds one.

    Raises
    ------
    ValueError
        If the named device is not there.
    """
    must = "device must be 'auto' or name a device of this machine, such as 'cpu' or 'cuda:0', got"
    if not isinstance(device, str | torch.device):
        raise ValueError(f"{must} {describe(device)}.")
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.empty(0, dtype=torch.float32, device=device).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f"{must} {describe(device)}.") from error
    if found.type == "meta":  # tensors without numbers
        raise ValueError(f"{must} {describe(device)}.")
    return found


def usable_device(device: str) -> torch.device:
    """Return the device that a model was trained on if this machine has it, else the CPU."""
    try:
        return find_device(device)
    except ValueError:
        return torch.device("cpu")
