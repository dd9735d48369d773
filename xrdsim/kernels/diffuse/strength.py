"""How strongly loops scatter at one distance from a reflection, and how strongly waves are absorbed there.

With the distance t = K sin2θ_B (x − x_j), the absorption μ(t) of the interfering waves and k_m = 2π/(R E √(Hb)),

    J = b2 ln(M/D) + N (1/M − 1/D) + (k_m²/M)(b2 − ½N/M),   |t| ≤ k_m,      M = k_m² + μ²,  D = t² + μ²
    J = (k_m²/D)(b2 − ½N/D),                                 |t| > k_m,      N = b3 t² + b4 μ²

In a cell of the layer whose strain changes, t runs over a width Δ, and ln D and 1/D are averaged over it: with
w = t + iμ and F(w) = w ln w − w they are 2 Re[F(w + Δ/2) − F(w − Δ/2)]/Δ and −Im G/μ, where
G = [ln(w + Δ/2) − ln(w − Δ/2)]/Δ; far from the cell both by their series. The width fades out as Δ(1 − t²/k_m²)²
toward k_m, where J stays continuous.
"""

import math
from typing import NamedTuple

from xrdsim._jit import jit

FAR = 4.0
"""Widths of a cell beyond which its averages are taken by their series: the next term is below 2e-9 there."""

SHORT = 0.05
"""Absorption up to which series are taken; their next term is 2e-15."""


class Beams(NamedTuple):
    """A reflection, one polarisation, and the shape of its loops; lengths in Å."""

    absorption: float  # K |χ0i|: linear coefficient of an intensity [1/Å]
    mean: float  # ¼ (1 + b)/γ0 of it: μ without interference is twice this
    extinction: float  # t of one unit of z is 1/extinction: √b/(K C |χ_rh|)
    g: float  # |g|
    kappa: float
    scale: float  # μ_DS = n R⁴ E² scale J [Å⁻⁵ of R = 1]
    b2: float  # of R = 1, without the common factor
    b3: float
    b4: float
    range: float  # 2π/√(Hb): k_m = range/(R E)
    strength: float  # ½ (Hb)^(3/2): L = strength n R³
    cosine: float  # γ0
    paths: float  # of both beams through a layer above, of unit thickness


@jit(inline=True)
def decay(y):
    """(1 − e^−y)/y."""
    if y < SHORT:
        return 1.0 - y * (
            1 / 2 - y * (1 / 6 - y * (1 / 24 - y * (1 / 120 - y * (1 / 720 - y * (1 / 5040 - y / 40320)))))
        )
    return -math.expm1(-y) / y


@jit(inline=True)
def decay_slope(y):
    """Derivative of the same."""
    if y < SHORT:
        return -(1 / 2 - y * (1 / 3 - y * (1 / 8 - y * (1 / 30 - y * (1 / 144 - y * (1 / 840 - y / 5760))))))
    return (math.exp(-y) - decay(y)) / y


@jit(inline=True)
def absorbed(t, e, beams):
    """μ at the distance t, and its derivatives over t and E.

    z = t·extinction, v = 2(zg/E² − κ), u = (z² − g²)/E² + κ² − 1, r = |Im √(u + iv)|, μ = mean·absorption (1 + rE/|g|).
    """
    z, g = t * beams.extinction, -beams.g
    square = 1.0 / (e * e)
    v = 2.0 * (z * g * square - beams.kappa)
    u = (z * z - g * g) * square + beams.kappa * beams.kappa - 1.0
    size = math.sqrt(u * u + v * v)
    if u > 0.0:
        c = math.sqrt(0.5 * (size + u))
        r = 0.5 * abs(v) / c
    else:
        r = math.sqrt(0.5 * (size - u))
        c = 0.5 * abs(v) / r if r > 0.0 else 0.0
    plain = beams.mean * beams.absorption
    of_r = plain * e / beams.g
    half = 0.5 / max(size, 1e-300)
    r_u = -r * half
    r_v = c * half if v > 0.0 else -c * half
    over_t = of_r * 2.0 * square * beams.extinction * (r_u * z + r_v * g)
    over_e = plain * r / beams.g - of_r * 2.0 * square / e * (r_u * (z * z - g * g) + 2.0 * r_v * z * g)
    return plain + of_r * r, over_t, over_e


@jit(inline=True)
def averages(t, a, width, m):
    """Mean of ln(m/D) and of μ²/D over a width around t, with derivatives over t, μ and the width at a constant m.

    Returns the first, its derivatives over t, μ and the width, then the same of the second.
    """
    d = t * t + a * a
    if d > FAR * FAR * width * width:
        unit = 1.0 / d
        x, y = t * unit, -a * unit  # 1/w
        p, q = x * x - y * y, 2.0 * x * y  # W = 1/w²
        p2, q2 = p * p - q * q, 2.0 * p * q
        p3, q3 = p2 * p - q2 * q, p2 * q + q2 * p
        s = width * width
        mean = math.log(m * unit) + s * (p / 12.0 + s * (p2 / 160.0 + s * p3 / 1344.0))
        mean_w = width * (p / 6.0 + s * (p2 / 40.0 + s * p3 / 224.0))
        f_re = 1.0 + s * (p / 12.0 + s * (p2 / 80.0 + s * p3 / 448.0))
        f_im = s * (q / 12.0 + s * (q2 / 80.0 + s * q3 / 448.0))
        g_re, g_im = x * f_re - y * f_im, x * f_im + y * f_re
        h_re = width * (p / 6.0 + s * (p2 / 20.0 + s * 3.0 * p3 / 224.0))
        h_im = width * (q / 6.0 + s * (q2 / 20.0 + s * 3.0 * q3 / 224.0))
        g_w = x * h_im + y * h_re
    else:
        upper, lower = t + 0.5 * width, t - 0.5 * width
        d_upper, d_lower = upper * upper + a * a, lower * lower + a * a
        log_upper, log_lower = 0.5 * math.log(d_upper), 0.5 * math.log(d_lower)
        phase_upper, phase_lower = math.atan2(a, upper), math.atan2(a, lower)
        unit = 1.0 / width
        g_re, g_im = (log_upper - log_lower) * unit, (phase_upper - phase_lower) * unit
        of_d = 2.0 * ((upper * log_upper - lower * log_lower - a * (phase_upper - phase_lower)) * unit - 1.0)
        mean = math.log(m) - of_d
        mean_w = (of_d - log_upper - log_lower) * unit
        g_w = (-0.5 * a * (1.0 / d_upper + 1.0 / d_lower) - g_im) * unit
    # dG/dw = −1/(w² − Δ²/4)
    w_re, w_im = t * t - a * a - 0.25 * width * width, 2.0 * t * a
    unit = 1.0 / (w_re * w_re + w_im * w_im)
    slope_re, slope_im = -w_re * unit, w_im * unit
    return mean, -2.0 * g_re, 2.0 * g_im, mean_w, -a * g_im, -a * slope_im, -g_im - a * slope_re, -a * g_w


@jit(inline=True)
def scattered(t, width, a, k2, beams):
    """J, and its derivatives over t, the width, μ and k_m²; ``a`` is μ and ``k2`` is k_m²."""
    b2, b3, b4 = beams.b2, beams.b3, beams.b4
    t2, a2 = t * t, a * a
    if t2 > k2:
        unit = 1.0 / (t2 + a2)
        n = b3 * t2 + b4 * a2
        bracket = b2 - 0.5 * n * unit
        j = k2 * unit * bracket
        over_n = -0.5 * k2 * unit * unit
        over_d = k2 * unit * unit * (n * unit - b2)
        return j, 2.0 * t * (over_n * b3 + over_d), 0.0, 2.0 * a * (over_n * b4 + over_d), j / k2
    part = t2 / k2
    rest = 1.0 - part
    fade = rest * rest
    mean, mean_t, mean_a, mean_w, ratio, ratio_t, ratio_a, ratio_w = averages(t, a, width * fade, k2 + a2)
    unit = 1.0 / (k2 + a2)
    n = b3 * t2 + b4 * a2
    share = k2 * unit
    j = b2 * mean + n * unit - b3 - (b4 - b3) * ratio + share * (b2 - 0.5 * n * unit)
    over_n = unit * (1.0 - 0.5 * share)
    over_m = unit * (b2 - n * unit - b2 * share + n * unit * share)
    over_w = b2 * mean_w - (b4 - b3) * ratio_w
    j_t = b2 * mean_t - (b4 - b3) * ratio_t + over_n * 2.0 * b3 * t - over_w * width * 4.0 * rest * t / k2
    j_a = b2 * mean_a - (b4 - b3) * ratio_a + 2.0 * a * (over_n * b4 + over_m)
    j_k = over_m + unit * (b2 - 0.5 * n * unit) + over_w * width * 2.0 * rest * part / k2
    return j, j_t, over_w * fade, j_a, j_k
