"""What `speed.py` compares with: libraries, each used by its own calls, and plain PyTorch."""

import os
import tempfile
from collections import OrderedDict

import numpy as np
import torch
from deepctr_torch.inputs import SparseFeat
from deepctr_torch.models import DeepFM
from fuxictr.features import FeatureMap
from fuxictr.pytorch import layers
from fuxictr.pytorch.dataloaders.npz_dataloader import NpzDataLoader
from fuxictr.pytorch.models import BaseModel
from torch import nn

from sparsectr.methods.profit.search import architecture_batch_size

EMBEDDING_DIM = 16
HIDDEN_UNITS = (256, 128)  # the default of DeepCTR-Torch
N_CROSS_LAYERS = 3


def measure(function, clock):
    """Return the seconds that a call takes."""
    start = clock()
    function()
    return clock() - start


class Peer:
    """A library that does not say how long its epochs take.

    Attributes
    ----------
    fastest : dict of int to float
        Seconds of the fastest fit so far, by its number of epochs.
    """

    def epoch_seconds(self, clock):
        """Return the seconds that an epoch adds to a fit, by the fastest fits of all rounds.

        The smallest difference of two fits would be that of a slow short fit and a fast long one.
        """
        for n_epochs in (1, 3):
            seconds = measure(self.fit(n_epochs), clock)
            self.fastest[n_epochs] = min(seconds, self.fastest.get(n_epochs, np.inf))
        return {"train": (self.fastest[3] - self.fastest[1]) / 2}


class FuxiCTR(Peer):
    """FM or DCN-V2 from the layers of FuxiCTR: its wheel has no models of these names.

    Parameters
    ----------
    model : {"FM", "DCN-V2"}
        DCN-V2 has three cross layers beside an MLP.
    data : Table
        See `speed.py`.
    gpu : int
        Number of the GPU; -1 for the CPU.
    """

    def __init__(self, model, data, gpu=-1):
        self.model_name, self.data, self.gpu = model, data, gpu
        self.names = [f"f{j}" for j in range(len(data.sizes))]
        self.folder = tempfile.mkdtemp()
        self.fastest = {}

    def make(self):
        features = FeatureMap("speed", self.folder)
        spec = {"source": "", "type": "categorical"}
        features.features = OrderedDict(
            (name, spec | {"vocab_size": int(size)})
            for name, size in zip(self.names, self.data.sizes, strict=True)
        )
        features.num_fields, features.labels = len(self.names), ["label"]
        features.set_column_index()
        name, gpu = self.model_name, self.gpu

        class Model(BaseModel):
            def __init__(self):
                super().__init__(
                    features,
                    gpu=gpu,
                    monitor="AUC",
                    early_stop_patience=100,
                    verbose=0,
                    model_root=features.data_dir,
                    metrics=["AUC"],
                )
                os.makedirs(self.model_dir, exist_ok=True)
                self.embedding = layers.FeatureEmbedding(features, EMBEDDING_DIM)
                n_inputs = len(features.features) * EMBEDDING_DIM
                if name == "FM":
                    self.fm = layers.FactorizationMachine(features)
                else:
                    self.cross = layers.CrossNetV2(n_inputs, N_CROSS_LAYERS)
                    self.mlp = layers.MLP_Block(n_inputs, list(HIDDEN_UNITS))
                    self.output = nn.Linear(n_inputs + HIDDEN_UNITS[-1], 1)
                self.compile("adam", "binary_crossentropy", 1e-3)
                self.reset_parameters()
                self.model_to_device()

            def forward(self, inputs):
                X = self.get_inputs(inputs)
                embeddings = self.embedding(X)
                if name == "FM":
                    logits = self.fm(X, embeddings)
                else:
                    flat = embeddings.flatten(1)
                    logits = self.output(torch.cat([self.cross(flat), self.mlp(flat)], 1))
                return {"y_pred": self.output_activation(logits)}

        self.features, self.model = features, Model()

    def loader(self, codes, labels, shuffle):
        path = os.path.join(self.folder, f"{len(codes)}.npz")
        np.savez(path, **dict(zip(self.names, codes.T, strict=True)), label=labels)
        return NpzDataLoader(
            self.features, path, self.data.batch_size, shuffle=shuffle, num_workers=0
        )

    def fit(self, n_epochs):
        self.make()
        train = self.loader(self.data.codes, self.data.labels, True)
        validation = self.loader(self.data.val_codes, self.data.val_labels, False)
        return lambda: self.model.fit(train, epochs=n_epochs, validation_data=validation)

    def predict(self, codes):
        loader = self.loader(codes, np.zeros(len(codes), int), False)
        return lambda: self.model.predict(loader)

    def predict_row(self, codes):
        row = {name: torch.from_numpy(codes[:1, j]) for j, name in enumerate(self.names)}
        self.model.eval()

        def forward():
            with torch.no_grad():
                return self.model(row)

        return forward


class DeepCTR(Peer):
    """DeepFM of DeepCTR-Torch with its defaults and embeddings of the same length.

    Parameters
    ----------
    data : Table
        See `speed.py`.
    """

    def __init__(self, data):
        self.data, self.fastest = data, {}

    def fit(self, n_epochs):
        data = self.data
        columns = [
            SparseFeat(f"f{j}", int(size), EMBEDDING_DIM) for j, size in enumerate(data.sizes)
        ]
        self.model = DeepFM(columns, columns, dnn_hidden_units=HIDDEN_UNITS)
        self.model.compile("adam", "binary_crossentropy", metrics=["auc"])
        inputs, validation = self.inputs(data.codes), self.inputs(data.val_codes)
        return lambda: self.model.fit(
            inputs,
            data.labels.astype(np.float32),
            batch_size=data.batch_size,
            epochs=n_epochs,
            verbose=0,
            validation_data=(validation, data.val_labels.astype(np.float32)),
        )

    def inputs(self, codes):
        return {f"f{j}": column for j, column in enumerate(codes.T)}

    def predict(self, codes):
        inputs = self.inputs(codes)
        return lambda: self.model.predict(inputs, self.data.batch_size)


class PlainSearch(Peer):
    """The search of PROFIT for crosses of orders 1 to 3 as one writes it in PyTorch.

    Power sums and Newton's identities, dense gradients and Adam; in every step the architecture
    and then the weights, as ours, on rows of their own and on batches of the same sizes.

    Parameters
    ----------
    data : Table
        See `speed.py`.
    rank : int
        Components of every order.
    """

    def __init__(self, data, rank):
        self.data, self.rank, self.fastest = data, rank, {}
        self.offsets = np.concatenate([[0], np.cumsum(data.sizes)[:-1]])

    def fit(self, n_epochs):
        data, n_fields = self.data, len(self.data.sizes)
        codes = torch.from_numpy(data.codes + self.offsets)
        predict_validation = self.predict(data.val_codes)
        labels = torch.from_numpy(data.labels).float()
        embedding = nn.Embedding(int(data.sizes.sum()), EMBEDDING_DIM)
        nn.init.normal_(embedding.weight, std=0.1)
        linear = nn.Embedding(int(data.sizes.sum()), 1)
        nn.init.zeros_(linear.weight)
        bias = nn.Parameter(torch.zeros(1))
        betas = nn.Parameter(0.5 + 0.1 * torch.randn(3, self.rank, n_fields))
        weights = torch.optim.Adam([*embedding.parameters(), *linear.parameters(), bias], 1e-3)
        architecture = torch.optim.Adam([betas], 1e-2)

        def forward(rows):
            x = embedding(rows)
            total = x.new_zeros(len(rows))
            for order in (1, 2, 3):
                p = [
                    torch.einsum("rf,bfd->brd", betas[order - 1] ** k, x**k)
                    for k in range(1, order + 1)
                ]
                if order == 1:
                    found = p[0]
                elif order == 2:
                    found = (p[0] ** 2 - p[1]) / 2
                else:
                    found = (p[0] ** 3 - 3 * p[0] * p[1] + 2 * p[2]) / 6
                total = total + found.sum((1, 2))
            return total + linear(rows).sum((1, 2)) + bias

        def descend(optimizer, batch):
            weights.zero_grad()
            architecture.zero_grad()
            nn.functional.binary_cross_entropy_with_logits(
                forward(codes[batch]), labels[batch]
            ).backward()
            optimizer.step()

        def train():
            n_away = len(codes) // 5
            n_own = len(codes) - n_away
            away_size = architecture_batch_size(data.batch_size, n_away, n_own)
            order = torch.randperm(len(codes))
            for _ in range(n_epochs):
                away = order[:n_away][torch.randperm(n_away)].split(away_size)
                own = order[n_away:][torch.randperm(n_own)].split(data.batch_size)
                for step, batch in enumerate(own):
                    descend(architecture, away[step % len(away)])
                    descend(weights, batch)
                predict_validation()

        self.forward = forward
        return train

    def predict(self, codes):
        rows = torch.from_numpy(codes + self.offsets)

        def predict():
            with torch.no_grad():
                for batch in rows.split(self.data.batch_size):
                    self.forward(batch)

        return predict
