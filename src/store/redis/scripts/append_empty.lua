-- An entry that says nothing, and which process has it.
return { process(), append() }
