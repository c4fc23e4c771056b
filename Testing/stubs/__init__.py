"""Import stubs: what the module files and widgets need of Qt and of Slicer's application, in plain Python.

Nodes, logics and `slicer.util` are the real ones of slicer-core. Stubbed are only `qt`, `ctk`, the qMRML widgets,
`slicer.app`, `slicer.modules` and the base classes of scripted modules, which slicer-core does not carry.
Every name is listed: one that is not raises AttributeError and says where to add it.
"""
