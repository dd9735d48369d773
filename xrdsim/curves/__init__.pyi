from .binning import binned as binned
from .curve import Curve as Curve
from .curve import list_scans as list_scans
from .curve import read_curve as read_curve
from .curve import write_curve as write_curve
from .stated import Stated as Stated
