_ = __ = match = case = print = exec = 1
match.case = type
é = ñ = 𝔘 = ℘ = x·y = 变量
