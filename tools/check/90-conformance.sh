#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Documentation/conformance.rst against the tests of this run.
tools/conformance --check build/check
