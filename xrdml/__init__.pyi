from .data.measurement import Measurement as Measurement
from .inference.prediction import Prediction as Prediction
from .inference.prediction import predict as predict
from .inference.starts import NetworkStarts as NetworkStarts
from .networks.checkpoint import TrainedModel as TrainedModel
from .networks.checkpoint import load_model as load_model
from .training.train import Progress as Progress
from .training.train import Run as Run
from .training.train import train as train

__version__: str
