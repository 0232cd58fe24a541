"""Form of the images that a trained model classifies."""

from __future__ import annotations

from dataclasses import dataclass

from ma2ml_env.errors import MA2MLError, require_range
from ma2ml_env.tasks.task import HasImageForm

LARGEST_IMAGE, MOST_CLASSES = 2**14, 10**6


@dataclass(frozen=True)
class ImageForm:
    """Form of the images that a model classifies, and its classes.

    Attributes:
        name: name of the task that the model was trained for.
        image_size: rows and columns; images are square.
        channels: 1 or 3.
        classes: names of the classes, in the order of the logits.

    Raises:
        MA2MLError: for sizes out of range, or no classes.
    """

    name: str
    image_size: int
    channels: int
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        require_range("image_size", self.image_size, 1, LARGEST_IMAGE)
        require_range("the number of classes", len(self.classes), 1, MOST_CLASSES)
        if self.channels not in (1, 3):
            raise MA2MLError(f"channels are 1 or 3, not {self.channels}")

    @classmethod
    def of(cls, task: HasImageForm) -> ImageForm:
        """The form of a task's images."""
        return cls(str(task.name), int(task.image_size), int(task.channels), tuple(map(str, task.classes)))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one image: (channels, image_size, image_size)."""
        return self.channels, self.image_size, self.image_size
