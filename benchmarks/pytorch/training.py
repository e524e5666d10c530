"""The run of `tsp train` once more, by PyTorch and transformers: same weights, same text in the same order, same AdamW.

    training.py init DIR                        a small Llama of bytes with transformers' random weights
    training.py repeat DIR LOG OPTIONS --data F...   trains DIR as tsp did, and shows both losses; LOG is tsp's --log
    training.py decode DIR TEXT PROMPT N        continues PROMPT greedily by N tokens with an exported model: equals TEXT?

The options are those of tsp train, with its defaults.
"""

import argparse
import json
import math
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

WORD = (1 << 64) - 1


def mixed(value):
    """SplitMix64's finalizer, as in TrainingData."""
    z = (value + 0x9E3779B97F4A7C15) & WORD
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & WORD
    return z ^ (z >> 31)


class JavaRandom:
    """java.util.Random, whose numbers are specified."""

    def __init__(self, seed):
        self.state = (seed ^ 0x5DEECE66D) & ((1 << 48) - 1)

    def bits(self, count):
        self.state = (self.state * 0x5DEECE66D + 0xB) & ((1 << 48) - 1)
        value = self.state >> (48 - count)
        return value - (1 << count) if count == 32 and value >= 1 << 31 else value

    def below(self, bound):
        value = self.bits(31)
        if bound & (bound - 1) == 0:
            return (bound * value) >> 31
        while value - value % bound + bound - 1 >= 1 << 31:
            value = self.bits(31)
        return value % bound


def shuffled(count, seed, epoch):
    random = JavaRandom(mixed((mixed(seed) + epoch) & WORD))
    order = [0] * count
    for i in range(count):
        other = random.below(i + 1)
        order[i] = order[other]
        order[other] = i
    return order


class Text:
    """Bytes of all files in sequences, those at the end for evaluation, with the documents they belong to."""

    def __init__(self, files, seq, share, seed):
        contents = [Path(file).read_bytes() for file in files]
        ids = torch.tensor([byte for content in contents for byte in content])
        documents = torch.cat([torch.full((len(content),), i) for i, content in enumerate(contents)])
        count = len(ids) // seq
        self.ids = ids[: count * seq].view(count, seq)
        self.documents = documents[: count * seq].view(count, seq)
        self.held_out = math.ceil(share * count)
        self.training = count - self.held_out
        self.seed = seed
        self.orders = {}

    def batch(self, position, rows):
        chosen = []
        for at in range(position, position + rows):
            epoch = at // self.training
            if epoch not in self.orders:
                self.orders[epoch] = shuffled(self.training, self.seed, epoch)
            chosen.append(self.orders[epoch][at % self.training])
        return self.ids[chosen], self.documents[chosen]

    def evaluation(self, rows):
        for first in range(self.training, self.training + self.held_out, rows):
            yield self.ids[first : first + rows], self.documents[first : first + rows]


def summed_loss(model, ids, documents):
    """Loss in nats over all tokens whose successor is of the same document, and their number."""
    same = documents[:, :, None] == documents[:, None, :]
    visible = torch.tril(torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool)) & same
    mask = torch.zeros_like(visible, dtype=torch.float32).masked_fill(~visible, torch.finfo(torch.float32).min)
    starts = torch.zeros_like(ids)
    starts[:, 1:] = torch.where(documents[:, 1:] != documents[:, :-1], torch.arange(1, ids.shape[1]), 0)
    positions = torch.arange(ids.shape[1]) - starts.cummax(dim=1).values
    logits = model(ids, attention_mask=mask[:, None], position_ids=positions).logits
    labels = torch.where(documents[:, 1:] == documents[:, :-1], ids[:, 1:], -100)
    loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels.flatten(), reduction="sum")
    return loss, int((labels >= 0).sum())


def rate(step, options):
    """Warm-up, then half a cosine to a tenth."""
    warmup = int(options.steps * 0.05)
    if step < warmup:
        return options.lr * step / warmup
    share = (step - warmup) / max(1, options.steps - warmup)
    return options.lr * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * share)))


def repeat(options):
    torch.set_num_threads(options.threads)
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32, attn_implementation="sdpa")
    text = Text(options.data, options.seq, options.eval_share, options.data_seed)
    ours = [json.loads(line) for line in Path(options.log).read_text().splitlines()]
    matrices = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.dim() == 1]
    optimizer = torch.optim.AdamW(
        [dict(params=matrices, weight_decay=0.1), dict(params=vectors, weight_decay=0.0)],
        betas=(0.9, 0.95),
        eps=1e-8,
    )
    print("step  loss of tsp  of PyTorch  difference  evaluation: tsp  PyTorch", flush=True)
    largest = 0
    for step in range(1, options.steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = rate(step, options)
        optimizer.zero_grad()
        loss, count = summed_loss(model, *text.batch((step - 1) * options.batch, options.batch))
        (loss / count).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        line, theirs = ours[step - 1], loss.item() / count
        largest = max(largest, abs(line["loss"] - theirs))
        if "evaluationLoss" in line:
            with torch.no_grad():
                sums = [summed_loss(model, *batch) for batch in text.evaluation(options.batch)]
            held_out = sum(part.item() for part, _ in sums) / sum(number for _, number in sums)
            print(
                f"{step:4}  {line['loss']:11.5f}  {theirs:10.5f}  {line['loss'] - theirs:10.5f}"
                f"  {line['evaluationLoss']:15.5f}  {held_out:7.5f}",
                flush=True,
            )
    print(f"largest difference of a loss in {options.steps} steps: {largest:.2g}")


def init(options):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=256,
        hidden_size=256,
        intermediate_size=688,
        num_hidden_layers=4,
        num_attention_heads=8,
        num_key_value_heads=4,
        max_position_embeddings=4096,
        bos_token_id=None,
        eos_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(options.model)


def decode(options):
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32)
    ids = torch.tensor([list(options.prompt.encode())])
    with torch.no_grad():
        for _ in range(options.count):
            ids = torch.cat([ids, model(ids).logits[:, -1:].argmax(-1)], dim=1)
    theirs = bytes(ids[0].tolist()).decode(errors="replace")
    print(f"transformers: {theirs!r}\ntsp:          {options.text!r}")
    if theirs != options.text:
        sys.exit("training.py: the two differ")
    print(f"the same {options.count} tokens")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    verb = verbs.add_parser("init")
    verb.add_argument("model")
    verb.set_defaults(run=init)
    verb = verbs.add_parser("repeat")
    verb.add_argument("model")
    verb.add_argument("log")
    verb.add_argument("--data", nargs="+", required=True)
    verb.add_argument("--steps", type=int, required=True)
    verb.add_argument("--seq", type=int, default=512)
    verb.add_argument("--batch", type=int, default=8)
    verb.add_argument("--lr", type=float, default=3e-4)
    verb.add_argument("--data-seed", type=int, default=0)
    verb.add_argument("--eval-share", type=float, default=0.05)
    verb.add_argument("--threads", type=int, default=2)
    verb.set_defaults(run=repeat)
    verb = verbs.add_parser("decode")
    verb.add_argument("model")
    verb.add_argument("text")
    verb.add_argument("prompt")
    verb.add_argument("count", type=int)
    verb.set_defaults(run=decode)
    options = parser.parse_args()
    options.run(options)


main()
