"""Times TRL 0.11.4's PPO step on a Hugging Face folder: the other side of `npm run bench -- --with-trl`.

usage: trl_step.py FOLDER QUERIES.json NEW_TOKENS STEPS
QUERIES.json: a list of lists of token ids, one batch. Prints one JSON line: median seconds of rollout, score, update,
generated tokens per second, peak resident memory in bytes.
"""

import json
import resource
import statistics
import sys
import time

import torch
from transformers import AutoTokenizer
from trl import AutoModelForCausalLMWithValueHead, PPOConfig, PPOTrainer, create_reference_model

folder, queries_file, new_tokens, steps = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
torch.manual_seed(0)
with open(queries_file) as file:
    queries = [torch.tensor(ids) for ids in json.load(file)]
batch = len(queries)
tokenizer = AutoTokenizer.from_pretrained(folder)
if tokenizer.pad_token_id is None:
    tokenizer.pad_token = tokenizer.eos_token
model = AutoModelForCausalLMWithValueHead.from_pretrained(folder, torch_dtype=torch.float32)
config = PPOConfig(batch_size=batch, mini_batch_size=batch, ppo_epochs=4, learning_rate=1.41e-5, log_with=None)
trainer = PPOTrainer(config, model, create_reference_model(model), tokenizer)
generation = dict(max_new_tokens=new_tokens, min_new_tokens=new_tokens, do_sample=True, top_k=0, top_p=1.0,
                  pad_token_id=tokenizer.pad_token_id)

seconds = {"rollout": [], "score": [], "update": []}
for _ in range(steps + 1):
    started = time.perf_counter()
    responses = trainer.generate(queries, batch_size=batch, return_prompt=False, **generation)
    rollout = time.perf_counter() - started
    scores = [torch.tensor(float(len(set(r.tolist()))) / new_tokens) for r in responses]
    started = time.perf_counter()
    stats = trainer.step(queries, responses, scores)
    step = time.perf_counter() - started
    update = stats["time/ppo/optimize_step"]
    seconds["rollout"].append(rollout)
    seconds["update"].append(update)
    seconds["score"].append(step - update)

# The first step warms up.
median = {name: statistics.median(values[1:]) for name, values in seconds.items()}
print(json.dumps({
    **median,
    "tokensPerSecond": batch * new_tokens / median["rollout"],
    "peakBytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    "versions": {"torch": torch.__version__, "threads": torch.get_num_threads()},
}))
