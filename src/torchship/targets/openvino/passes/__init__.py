"""What makes a smaller or quicker OpenVINO model of a right one."""
