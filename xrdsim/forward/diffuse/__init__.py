"""Diffuse scattering from dislocation loops, and the static Debye–Waller factors that belong with it.

Loops of density n and radius R, whose Burgers vector has the length b, weaken a reflection of the spacing 1/H by

    E = exp(−Σ L),   L = ½ n R³ (Hb)^(3/2),

and scatter around it, at the distance t = K sin2θ_B (x − x_j) of the angle x from the reflection x_j = ε_j S of a
sublayer j of the strain ε_j, K = 2π/λ, with the linear coefficient [1/Å]

    μ_DS = n C² E² (π/4)(2πH|χ_rh|/λ)² J,

    B1 = (4/15)(π b R²)²,  B2 = β B1,  β = (3ν² + 6ν − 1)/(4(1 − ν)²)
    b2 = B1 + ½ B2 cos²θ_B,  b3 = B2 (½ cos²θ_B − sin²θ_B),  b4 = B2 (½ cos²θ_B − cos²ψ),

J as in ``xrdsim.kernels.diffuse.strength``: Huang scattering for |t| ≤ k_m = 2π/(R E √(Hb)), Stokes–Wilson scattering
beyond. Waves that interfere are absorbed by

    μ = ½ (μ0/γ0) ½ (1 + b)(1 + r E/|g|),   μ0 = K|χ0i|,   b = γ0/γh,   g = −|χ0i| (√b + 1/√b)/(2C|χ_rh|),
    z = (x − x_j) sin2θ_B √b/(C|χ_rh|),  v = 2(zg/E² − κ),  u = (z² − g²)/E² + κ² − 1,  κ = |χ_ih|/|χ_rh|,
    r = √(½(√(u² + v²) − u)),

and the reflectivity that a sublayer of thickness h and the substrate add is

    R_j = exp(−Q_j) μ_DS,j (1 − exp(−2μ_j h))/(2μ_j γ0),   Q_j = p Σ_above (μ0 + μ_DS,i)(1 + b) h_i/γ0,
    R_substrate = exp(−Q) Σ_classes μ_DS/(2μγ0),

p = 1, the absorption on the paths of both beams, for either polarisation, weighted as the coherent reflectivity is
(V. B. Molodkin et al., Phys. Status Solidi B 227, 429 (2001); P. H. Dederichs, J. Phys. F 3, 471 (1973)). μ_DS is the
same for any volume of the unit cell, which cancels.
"""
