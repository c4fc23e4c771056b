"""RGB arrays as pictures of Qt."""

from __future__ import annotations

import numpy as np
import qt
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk


def pixmap_of(picture: np.ndarray):
    """QPixmap of RGB uint8 `[row, column, 3]`, by Slicer's own converter, which takes the lowest row first."""
    data, image = vtk.vtkImageData(), qt.QImage()
    data.SetDimensions(picture.shape[1], picture.shape[0], 1)
    data.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(picture[::-1]).reshape(-1, 3), deep=True))
    slicer.qMRMLUtils().vtkImageDataToQImage(data, image)
    return qt.QPixmap.fromImage(image)
