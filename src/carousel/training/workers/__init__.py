"""Workers: the same task on many items, in this process, in others on this machine, or on more machines."""

from carousel.training.workers.cluster import RayWorkers
from carousel.training.workers.keeper import Keeper, LostError
from carousel.training.workers.processes import Processes
from carousel.training.workers.workers import Here, Task, WorkerError, Workers, workers_of

__all__ = ["Here", "Keeper", "LostError", "Processes", "RayWorkers", "Task", "WorkerError", "Workers", "workers_of"]
