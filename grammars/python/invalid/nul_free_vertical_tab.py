xy
