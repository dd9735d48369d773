"""What the learned inversion is measured by: test sets, seeds and thresholds, chosen before any network was tuned.

Test rows are drawn from the prior with TEST_SEED, the curves that are solved are ``synthetic.synthetic`` of
SOLVE_SEEDS, every second one with damage. Networks are trained with other seeds and never see them.
"""

TEST_SEED = 424_242
TEST_ROWS = 5000

SOLVE_SEEDS = range(10_000, 12_000)
SOLVE_SECONDS = 0.2
SOLVE_RATE = 0.995

COVERAGE = (0.88, 0.92)  # of intervals of 90 %
FLOOR_CURVES = 200  # whose posterior median is sampled until it has converged

MAE_PERCENT = {"Dmax1": 1.0, "D01": 2.5, "L1": 1.4, "Rp1": 1.0, "D02": 3.2, "L2": 6.5, "Rp2": 20.0}  # without damage
LATENCY_MS = 5.0  # one curve, one core, model loaded
CURVES_PER_SECOND = 800  # in training, with the measurement model
