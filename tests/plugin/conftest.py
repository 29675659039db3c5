"""Compiled modules are imported here, once.

pytester forgets what a run in this process imported, and a compiled module imported a second time can
crash the interpreter.
"""

import h5netcdf
import h5py
import matplotlib.pyplot
import numpy
import pandas
import scipy.stats
import torch
import xarray

import harness.cli
import harness.pytest_plugin
import harness.session

PRELOADED = (h5netcdf, h5py, matplotlib, numpy, pandas, scipy, torch, xarray, harness)
