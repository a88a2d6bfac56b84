"""The panel: its logic, which needs no Kit, and its layout in plain omni.ui."""
