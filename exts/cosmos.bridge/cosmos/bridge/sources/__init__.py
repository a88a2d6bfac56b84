"""Where frames come from: a USD stage drawn here, or a folder that another tool wrote."""
