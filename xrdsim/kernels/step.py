"""One step of the recursion at one angle, in real arithmetic of either precision.

The functions are plain scalar code: the loops of the processor and of the graphics card compile the same lines. All
floating-point constants take the type of the arguments, so that single precision stays single.

With φ = āh, ā = f − g and x = φ²: cos φ, q = sin φ/φ, q' = dq/dx are entire functions of x, so no branch and no complex
root, sine or exponential is needed. They are computed once, for σ = 0, and corrected for either polarisation by a
Taylor step in φ² − ā²h², which is some 1e-5.
"""

import math

from xrdsim._jit import jit

# cos √x, sin √x/√x and its derivative as polynomials: remainders below 2e-12 for |x| ≤ REACH
REACH = 1.6
C1, C2, C3, C4, C5, C6, C7 = ((-1.0) ** n / math.factorial(2 * n) for n in range(1, 8))
Q1, Q2, Q3, Q4, Q5, Q6, Q7 = ((-1.0) ** n / math.factorial(2 * n + 1) for n in range(1, 8))
D0, D1, D2, D3, D4, D5, D6 = ((-1.0) ** (n + 1) * (n + 1) / math.factorial(2 * n + 3) for n in range(7))


@jit(inline=True)
def even_functions(a_re, a_im, hh):
    """cos √x, q = sin √x/√x and dq/dx at x = a²·hh, each as real and imaginary part.

    A polynomial with real coefficients at a complex point is the recurrence b_k = c_k + 2 Re x·b_{k+1} − |x|² b_{k+2}:
    two multiply-adds a coefficient.
    """
    real = type(a_re)
    two = real(2.0)
    x_re = (a_re * a_re - a_im * a_im) * hh
    x_im = two * a_re * a_im * hh
    r = two * x_re
    m = -(x_re * x_re + x_im * x_im)
    b2 = real(C6) + r * real(C7)
    b1 = real(C5) + r * b2 + m * real(C7)
    b2 = real(C4) + r * b1 + m * b2
    b1 = real(C3) + r * b2 + m * b1
    b2 = real(C2) + r * b1 + m * b2
    b1 = real(C1) + r * b2 + m * b1
    c_re = real(1.0) + x_re * b1 + m * b2
    c_im = x_im * b1
    b2 = real(Q6) + r * real(Q7)
    b1 = real(Q5) + r * b2 + m * real(Q7)
    b2 = real(Q4) + r * b1 + m * b2
    b1 = real(Q3) + r * b2 + m * b1
    b2 = real(Q2) + r * b1 + m * b2
    b1 = real(Q1) + r * b2 + m * b1
    q_re = real(1.0) + x_re * b1 + m * b2
    q_im = x_im * b1
    b2 = real(D5) + r * real(D6)
    b1 = real(D4) + r * b2 + m * real(D6)
    b2 = real(D3) + r * b1 + m * b2
    b1 = real(D2) + r * b2 + m * b1
    b2 = real(D1) + r * b1 + m * b2
    return c_re, c_im, q_re, q_im, real(D0) + x_re * b2 + m * b1, x_im * b2


@jit(inline=True)
def double(c_re, c_im, q_re, q_im, d_re, d_im):
    """The same at 4x: cos 2φ = 2 cos²φ − 1, q(4x) = q cos φ, q'(4x) = (q' cos φ − q²/2)/4."""
    real = type(c_re)
    half, quarter = real(0.5), real(0.25)
    return (
        real(2.0) * (c_re * c_re - c_im * c_im) - real(1.0),
        real(4.0) * c_re * c_im,
        q_re * c_re - q_im * c_im,
        q_re * c_im + q_im * c_re,
        quarter * (d_re * c_re - d_im * c_im - half * (q_re * q_re - q_im * q_im)),
        quarter * (d_re * c_im + d_im * c_re - q_re * q_im),
    )


@jit(inline=True)
def matrix_of_step(f_re, f_im, s_re, s_im, s2_re, s2_im, c_re, c_im, q_re, q_im, d_re, d_im, h, g, e, alpha, beta):
    """Elements uu, uv, vu, vv of the step with ā = f − g, σ̄ = σ₀e and c = σ₀(αf + β); s2 = σ₀²."""
    real = type(f_re)
    half, two, six = real(0.5), real(2.0), real(6.0)
    he = h * e
    k_re = alpha * f_re + beta
    k_im = alpha * f_im
    t_re = he * he + k_re * k_re - k_im * k_im
    t_im = two * k_re * k_im
    x_re = s2_im * t_im - s2_re * t_re  # φ² − ā²h²
    x_im = -s2_re * t_im - s2_im * t_re
    y_re = d_re * x_re - d_im * x_im
    y_im = d_re * x_im + d_im * x_re
    p_re = q_re + y_re
    p_im = q_im + y_im
    o_re = p_re - half * y_re
    o_im = p_im - half * y_im
    w_re = c_re - half * (o_re * x_re - o_im * x_im)
    w_im = c_im - half * (o_re * x_im + o_im * x_re)
    # diagonal: cos φ ∓ i·h·ā·q; off-diagonal: σ₀·(−6 q'·(αf + β) ± q·i·h·e)
    a_re = (f_re - g) * h
    a_im = f_im * h
    z_re = p_re * a_re - p_im * a_im
    z_im = p_re * a_im + p_im * a_re
    m_re = (p_re * s_re - p_im * s_im) * he
    m_im = (p_re * s_im + p_im * s_re) * he
    n_re = d_re * s_re - d_im * s_im
    n_im = d_re * s_im + d_im * s_re
    l_re = -six * (n_re * k_re - n_im * k_im)
    l_im = -six * (n_re * k_im + n_im * k_re)
    return (
        w_re + z_im,
        w_im - z_re,
        l_re - m_im,
        l_im + m_re,
        l_re + m_im,
        l_im - m_re,
        w_re - z_im,
        w_im + z_re,
    )


# d²q/dx² as a polynomial, to 1e-3 for |x| ≤ 14: it only enters corrections of some 1e-5
F0, F1, F2, F3, F4, F5 = ((-1.0) ** n * (n + 1) * (n + 2) / math.factorial(2 * n + 5) for n in range(6))


@jit(inline=True)
def times(a_re, a_im, b_re, b_im):
    """Product of two complex numbers."""
    return a_re * b_re - a_im * b_im, a_re * b_im + a_im * b_re


@jit(inline=True)
def generators(f_re, f_im, c_re, c_im, q_re, q_im, d_re, d_im, h, g, e, alpha, beta):
    """What T⁻¹dT of a step T is made of for a change of g or β, for both polarisations.

    T⁻¹dT = i(ζZ + μU + νL) with Z = [[1, 0], [0, −1]], U = [[0, 1], [0, 0]], L = [[0, 0], [−1, 0]], up to a multiple of
    the unit matrix, which does not change u/v. For g, divided by h: ζ = 1 + (σ₀he)²W, μ = σ₀μ_g, ν = σ₀ν_g; for β:
    ζ = σ₀²he·U, μ = σ₀μ_β, ν = σ₀ν_β. Returns W, μ_g, ν_g, U, μ_β, ν_β as real and imaginary parts, and Y, real, for
    the Taylor step in σ. Terms of the order c·σh, some 1e-7, are left out, and some of the order c are taken at
    Re x: Im x is a thousandth of it.
    """
    real = type(f_re)
    two, six, twelve, sixth = real(2.0), real(6.0), real(12.0), real(1.0 / 6.0)
    he = h * e
    y_re = (f_re - g) * h
    y_im = f_im * h
    k_re = alpha * f_re + beta
    k_im = alpha * f_im
    qq_re, qq_im = times(q_re, q_im, q_re, q_im)
    dc_re, dc_im = times(d_re, d_im, c_re, c_im)
    w_re = two * dc_re + qq_re
    w_im = two * dc_im + qq_im
    u_re, u_im = times(d_re, d_im, q_re, q_im)
    u_re *= six
    u_im *= six
    yw_re, yw_im = times(y_re, y_im, w_re, w_im)
    yu_re, yu_im = times(y_re, y_im, u_re, u_im)
    x = y_re * y_re
    x_im = two * y_re * y_im
    b = real(F0) + x * (real(F1) + x * (real(F2) + x * (real(F3) + x * (real(F4) + x * real(F5)))))
    t_re = twelve * (d_re * d_re - b * q_re)
    t_im = twelve * (two * d_re * d_im - b * q_im)
    n_re = u_re + x * t_re
    n_im = u_im + x * t_im + x_im * t_re
    yv = y_re * (twelve * b * c_re + u_re)
    # η = −(κn + he·yW), iξ = he·q² − κ·yV; μ = η + ξ, ν = η − ξ
    a_re, a_im = times(k_re, k_im, n_re, n_im)
    o_re, o_im = k_re * yv, k_im * yv
    a_re += he * yw_re
    a_im += he * yw_im
    o_re -= he * qq_re
    o_im -= he * qq_im
    dc_re *= six
    dc_im *= six
    return (
        w_re, w_im, o_im - a_re, -a_im - o_re, -a_re - o_im, o_re - a_im,
        u_re, u_im, -yu_re - dc_im, dc_re - yu_im, dc_im - yu_re, -yu_im - dc_re,
        sixth * yv,
    )  # fmt: skip


@jit(inline=True)
def generators_of_coupling(f_re, f_im, q_re, q_im, w_re, w_im, u_re, u_im, h, g, e, alpha, beta):
    """The same for a change of e, divided by h, given W and U: ζ = σ₀²ζ_e, μ = σ₀μ_e, ν = σ₀ν_e."""
    one = type(f_re)(1.0)
    he = h * e
    y_re = (f_re - g) * h
    y_im = f_im * h
    k_re = alpha * f_re + beta
    k_im = alpha * f_im
    qq_re, qq_im = times(q_re, q_im, q_re, q_im)
    ku_re, ku_im = times(k_re, k_im, u_re, u_im)
    yw_re, yw_im = times(y_re, y_im, w_re, w_im)
    a_re, a_im = times(y_re, y_im, yw_re, yw_im)
    o_re, o_im = times(y_re, y_im, qq_re, qq_im)
    return (
        he * yw_re - ku_re, he * yw_im - ku_im,
        one - a_re - o_im, o_re - a_im, one - a_re + o_im, -a_im - o_re,
    )  # fmt: skip


@jit(inline=True)
def adjoint_action(s11_re, s11_im, s21_re, s21_im, s12_re, s12_im, s22_re, s22_im):
    """What S⁻¹(·)S does to Z, U and L, det S = 1: diagonal, upper and minus the lower element of each.

    Z → (d, 2q, 2r), U → (s21 s22, s22², s21²), L → (s11 s12, s12², s11²) with d = s11 s22 + s12 s21, q = s12 s22 and
    r = s11 s21.
    """
    real = type(s11_re)
    two = real(2.0)
    o_re, o_im = times(s12_re, s12_im, s21_re, s21_im)
    p_re, p_im = times(s11_re, s11_im, s22_re, s22_im)
    q_re, q_im = times(s12_re, s12_im, s22_re, s22_im)
    r_re, r_im = times(s11_re, s11_im, s21_re, s21_im)
    ud_re, ud_im = times(s21_re, s21_im, s22_re, s22_im)
    uq_re, uq_im = (s22_re - s22_im) * (s22_re + s22_im), two * s22_re * s22_im
    ur_re, ur_im = (s21_re - s21_im) * (s21_re + s21_im), two * s21_re * s21_im
    ld_re, ld_im = times(s11_re, s11_im, s12_re, s12_im)
    lq_re, lq_im = (s12_re - s12_im) * (s12_re + s12_im), two * s12_re * s12_im
    lr_re, lr_im = (s11_re - s11_im) * (s11_re + s11_im), two * s11_re * s11_im
    return (
        o_re + p_re, o_im + p_im, q_re + q_re, q_im + q_im, r_re + r_re, r_im + r_im,
        ud_re, ud_im, uq_re, uq_im, ur_re, ur_im, ld_re, ld_im, lq_re, lq_im, lr_re, lr_im,
    )  # fmt: skip


@jit(inline=True)
def act(action, z_re, z_im, m_re, m_im, n_re, n_im):
    """ζ, μ and ν times what ``adjoint_action`` gives: the elements of S⁻¹(ζZ + μU + νL)S."""
    zd_re, zd_im, zq_re, zq_im, zr_re, zr_im = action[0], action[1], action[2], action[3], action[4], action[5]
    ud_re, ud_im, uq_re, uq_im, ur_re, ur_im = action[6], action[7], action[8], action[9], action[10], action[11]
    ld_re, ld_im, lq_re, lq_im, lr_re, lr_im = action[12], action[13], action[14], action[15], action[16], action[17]
    return (
        z_re * zd_re - z_im * zd_im + m_re * ud_re - m_im * ud_im + n_re * ld_re - n_im * ld_im,
        z_re * zd_im + z_im * zd_re + m_re * ud_im + m_im * ud_re + n_re * ld_im + n_im * ld_re,
        z_re * zq_re - z_im * zq_im + m_re * uq_re - m_im * uq_im + n_re * lq_re - n_im * lq_im,
        z_re * zq_im + z_im * zq_re + m_re * uq_im + m_im * uq_re + n_re * lq_im + n_im * lq_re,
        z_re * zr_re - z_im * zr_im + m_re * ur_re - m_im * ur_im + n_re * lr_re - n_im * lr_im,
        z_re * zr_im + z_im * zr_re + m_re * ur_im + m_im * ur_re + n_re * lr_im + n_im * lr_re,
    )


@jit(inline=True)
def forms(yu_re, yu_im, yv_re, yv_im, wu_re, wu_im, wv_re, wv_im, s_re, s_im):
    """What ζZ + σ₀μU + σ₀νL does to the column w of [y, w], det [y, w] = 1: minus its part along w, and that along y.

    They are ζ(y_u w_v + y_v w_u) + μσ₀ y_v w_v + νσ₀ y_u w_u and 2ζ w_u w_v + μσ₀ w_v² + νσ₀ w_u². Returns the factors
    of ζ, μ and ν in the first, then in the second.
    """
    su_re, su_im = times(s_re, s_im, wu_re, wu_im)
    sv_re, sv_im = times(s_re, s_im, wv_re, wv_im)
    z_re, z_im = times(yv_re, yv_im, wu_re, wu_im)
    x_re, x_im = times(yu_re, yu_im, wv_re, wv_im)
    m_re, m_im = times(sv_re, sv_im, yv_re, yv_im)
    n_re, n_im = times(su_re, su_im, yu_re, yu_im)
    q_re, q_im = times(wu_re, wu_im, wv_re, wv_im)
    o_re, o_im = times(sv_re, sv_im, wv_re, wv_im)
    p_re, p_im = times(su_re, su_im, wu_re, wu_im)
    return (
        x_re + z_re, x_im + z_im, m_re, m_im, n_re, n_im,
        q_re + q_re, q_im + q_im, o_re, o_im, p_re, p_im,
    )  # fmt: skip


@jit(inline=True)
def other_form(yu_re, yu_im, yv_re, yv_im, s_re, s_im):
    """The same for the column y: minus its part along w, 2ζ y_u y_v + μσ₀ y_v² + νσ₀ y_u²."""
    su_re, su_im = times(s_re, s_im, yu_re, yu_im)
    sv_re, sv_im = times(s_re, s_im, yv_re, yv_im)
    z_re, z_im = times(yu_re, yu_im, yv_re, yv_im)
    m_re, m_im = times(sv_re, sv_im, yv_re, yv_im)
    n_re, n_im = times(su_re, su_im, yu_re, yu_im)
    return z_re + z_re, z_im + z_im, m_re, m_im, n_re, n_im


@jit(inline=True)
def combine(z_re, z_im, m_re, m_im, n_re, n_im, a_re, a_im, b_re, b_im, c_re, c_im):
    """ζa + μb + νc."""
    return (
        z_re * a_re - z_im * a_im + m_re * b_re - m_im * b_im + n_re * c_re - n_im * c_im,
        z_re * a_im + z_im * a_re + m_re * b_im + m_im * b_re + n_re * c_im + n_im * c_re,
    )
