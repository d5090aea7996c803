-- Appends an empty entry. Answers the process that has it, and its tag.
return { process(), append() }
