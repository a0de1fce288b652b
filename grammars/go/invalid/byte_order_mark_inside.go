package p

// ﻿
