"""OpenVINO: the intermediate representation (``.xml`` and ``.bin``), run by OpenVINO's own runtime."""

GROUP = "server"
