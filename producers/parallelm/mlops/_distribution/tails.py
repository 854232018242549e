"""Tail probabilities in closed form, so that a training image needs numpy only. Tests compare them with scipy."""

from __future__ import annotations

import math
from typing import Final

_PRECISION: Final = 1e-15
_MOST_TERMS: Final = 10_000
_TINY: Final = 1e-300


def gamma_sf(x: float, shape: float) -> float:
    """Regularized upper incomplete gamma function Q(shape, x): what ``scipy.special.gammaincc(shape, x)`` gives.

    Series below ``shape + 1``, Lentz's continued fraction above it (Press et al., Numerical Recipes, 6.2).
    """
    if x <= 0:
        return 1.0
    scale = math.exp(shape * math.log(x) - x - math.lgamma(shape))
    if x < shape + 1:
        return min(1.0, max(0.0, 1.0 - scale * _series(x, shape)))
    return min(1.0, scale * _continued_fraction(x, shape))


def _series(x: float, shape: float) -> float:
    term = total = 1 / shape
    for step in range(1, _MOST_TERMS):
        term *= x / (shape + step)
        total += term
        if term < total * _PRECISION:
            break
    return total


def _continued_fraction(x: float, shape: float) -> float:
    b = x + 1 - shape
    c = 1 / _TINY
    d = 1 / b
    fraction = d
    for step in range(1, _MOST_TERMS):
        a = -step * (step - shape)
        b += 2
        d = 1 / _away_from_zero(a * d + b)
        c = _away_from_zero(b + a / c)
        fraction *= d * c
        if abs(d * c - 1) < _PRECISION:
            break
    return fraction


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def kolmogorov_sf(x: float) -> float:
    """Tail of Kolmogorov's limiting distribution: what ``scipy.special.kolmogorov(x)`` gives."""
    if x <= 0:
        return 1.0
    if x < 1:  # near zero the other series needs many terms
        factor = math.sqrt(2 * math.pi) / x
        terms = (math.exp(-(((2 * k - 1) * math.pi / x) ** 2) / 8) for k in range(1, 10))
        return min(1.0, max(0.0, 1 - factor * math.fsum(terms)))
    tail = 2 * math.fsum((-1) ** (k - 1) * math.exp(-2 * (k * x) ** 2) for k in range(1, 20))
    return min(1.0, max(0.0, tail))


def hypergeometric_two_sided(found: int, draws: int, marked: int, total: int) -> float:
    """P-value of Fisher's exact test, the smaller tail doubled: ``found`` of ``marked`` among ``draws`` of ``total``.

    The tails are summed from ``found`` outwards, by the ratio of neighbouring terms, until further terms are negligible.
    """
    low, high = max(0, draws + marked - total), min(draws, marked)
    at_found = math.exp(
        _log_choose(marked, found) + _log_choose(total - marked, draws - found) - _log_choose(total, draws)
    )
    upper = _tail(at_found, found, high, 1, (draws, marked, total))
    lower = _tail(at_found, found, low, -1, (draws, marked, total))
    return min(1.0, 2 * min(upper, lower))


def _tail(at_found: float, found: int, last: int, step: int, table: tuple[int, int, int]) -> float:
    draws, marked, total = table
    term = tail = at_found
    k = found
    while k != last:
        if step > 0:
            ratio = (marked - k) * (draws - k) / ((k + 1) * (total - marked - draws + k + 1))
        else:
            ratio = k * (total - marked - draws + k) / ((marked - k + 1) * (draws - k + 1))
        term *= ratio
        tail += term
        k += step
        if ratio < 1 and term < tail * _PRECISION * (1 - ratio):
            break
    return tail


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
