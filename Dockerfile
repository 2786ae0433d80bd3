# docker build -t adautomix .                        on CPUs: 3 GB less than with CUDA
# docker build -t adautomix --build-arg TORCH=auto . wheels for the GPU driver of the machine that builds, or cu128, ...
# docker run --rm -p 127.0.0.1:8888:8888 -v "$PWD/outputs:/workbook/outputs" adautomix
FROM python:3.12-slim
ARG TORCH=cpu
# hadolint ignore=DL3008  # the newest git and make of the image are meant
RUN apt-get update \
    && apt-get install -y --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /workbook
# The environment first: it is made anew only when the dependencies change.
COPY pyproject.toml constraints.txt Makefile README.md LICENSE ./
COPY adautomix adautomix
RUN make setup TORCH="${TORCH}"
COPY . .
EXPOSE 8888
CMD ["make", "lab", "LAB_FLAGS=--allow-root --no-browser --ip=0.0.0.0"]
