"""How the engine `growcut` sees a click and draws the border: no VTK, no state."""
