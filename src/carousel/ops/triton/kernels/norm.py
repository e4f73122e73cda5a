"""Layer normalisation, where one tile spans all cells."""

import triton
import triton.language as tl

from carousel.ops.triton.kernels.memory import in_time, moved, nothing
from carousel.ops.triton.kernels.row import first, unit

EPSILON = tl.constexpr(1e-5)


@triton.jit
def standardized(value, k, call):
    """Mean zero and variance one over the cells, and the factor that made it so."""
    here = (k < call.size.hidden)[None, :]
    centred = value - (tl.sum(tl.where(here, value, 0.0), 1) / call.size.hidden)[:, None]
    variance = tl.sum(tl.where(here, centred * centred, 0.0), 1) / call.size.hidden
    factor = 1.0 / tl.sqrt(variance + EPSILON)
    return centred * factor[:, None], factor


@triton.jit
def standardized_back(given, standard, factor, here, count):
    """The gradient of a value from that of its standardized one."""
    given = tl.where(here, given, 0.0)
    mean, along = tl.sum(given, 1) / count, tl.sum(given * standard, 1) / count
    return tl.where(here, factor[:, None] * (given - mean[:, None] - standard * along[:, None]), 0.0)


@triton.jit
def normalized(value, gain_and_bias, k, call):
    """Layer norm over the cells."""
    there = k < call.size.hidden
    gain = tl.load(gain_and_bias + k, there, 0.0).to(value.dtype)
    bias = tl.load(gain_and_bias + call.size.hidden + k, there, 0.0).to(value.dtype)
    standard, _ = standardized(value, k, call)
    return standard * gain[None, :] + bias[None, :]


@triton.jit
def leads(gate, k, call):
    """The cells whose numbers count for their block: the first of each, if the gate is shared."""
    if gate.shares:
        return (k < call.size.hidden) & (k % call.row.block == 0)
    else:
        return k < call.size.hidden


@triton.jit
def recurrent_rows(gate, k, call):
    """The rows of R for the gate that cells k have."""
    return unit(gate, k, call.row) + first(gate.recurrent, call.size)


@triton.jit
def product_at(gate, at, call):
    """Where R h of a gate lies: only the step at hand is there when nothing is kept for the way back."""
    t = at.t if call.saved.activations is not None else tl.zeros_like(at.t)
    there = moved(at, t, recurrent_rows(gate, at.k, call), at.here)
    return call.saved.products + in_time(there, call.size.recurrent, call)


@triton.jit
def product_of(gate, at, call):
    """R h of a gate, which was computed before; zero if nothing recurs into it."""
    if gate.recurs:
        return tl.load(product_at(gate, at, call), at.here, 0.0)
    else:
        return nothing(call)


@triton.jit
def write_product(gate, value, at, call):
    """Write R h of a gate."""
    if gate.recurs:
        tl.store(product_at(gate, at, call), value, at.here & leads(gate, at.k, call)[None, :])


@triton.jit
def keep_product(gate, value, at, call):
    """Write it for the way back."""
    if call.saved.activations is not None:
        write_product(gate, value, at, call)


@triton.jit
def less(value, mean, gate, at, call):
    """The value less the mean, zero where nothing recurs."""
    if gate.recurs:
        return tl.where(at.here, value - mean[:, None], 0.0)
    else:
        return value


@triton.jit
def over_rows(value, gate, at, call):
    """The sum over a gate's rows, each counted once for a block of cells."""
    return tl.sum(tl.where(leads(gate, at.k, call)[None, :], value, 0.0), 1)


@triton.jit
def over_gates(i, f, z, o, at, call):
    """The mean over all rows that recur."""
    total = over_rows(i, call.row.input, at, call) + over_rows(f, call.row.forget, at, call)
    total += over_rows(z, call.row.candidate, at, call) + over_rows(o, call.row.output, at, call)
    return total / call.size.recurrent


@triton.jit
def standardized_gates(i, f, z, o, at, call):
    """R h of the gates i f z o, mean zero and variance one over all their rows, and the factor that made it so."""
    mean = over_gates(i, f, z, o, at, call)
    i, f = less(i, mean, call.row.input, at, call), less(f, mean, call.row.forget, at, call)
    z, o = less(z, mean, call.row.candidate, at, call), less(o, mean, call.row.output, at, call)
    factor = 1.0 / tl.sqrt(over_gates(i * i, f * f, z * z, o * o, at, call) + EPSILON)
    return i * factor[:, None], f * factor[:, None], z * factor[:, None], o * factor[:, None], factor


@triton.jit
def gain_of(gate, k, call):
    """Gain and bias of a gate's rows."""
    where = call.given.norm_recurrent + recurrent_rows(gate, k, call)
    there = k < call.size.hidden
    return tl.load(where, there, 0.0), tl.load(where + call.size.recurrent, there, 0.0)


@triton.jit
def scaled(value, gate, k, call):
    """Times the gain, plus the bias."""
    if gate.recurs:
        gain, bias = gain_of(gate, k, call)
        return value * gain[None, :].to(value.dtype) + bias[None, :].to(value.dtype)
    else:
        return value


@triton.jit
def normalized_gates(i, f, z, o, at, call):
    """Layer norm over all rows that recur, given R h of the gates i f z o."""
    i, f, z, o, _ = standardized_gates(i, f, z, o, at, call)
    return (
        scaled(i, call.row.input, at.k, call), scaled(f, call.row.forget, at.k, call),
        scaled(z, call.row.candidate, at.k, call), scaled(o, call.row.output, at.k, call),
    )  # fmt: skip
